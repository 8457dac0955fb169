//! The known name that a mistyped one was meant to be.

/// A longer name is not a typo of anything, and distance costs the square of it.
const MAX_NAME_BYTES: usize = 128;

/// "did you mean …?" for the known name nearest to `found`, if one is near.
pub(super) fn did_you_mean<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(found, known).map(|name| format!("did you mean `{name}`?"))
}

/// The known name nearest to `found`, if its edit distance is at most a third of its length.
pub(super) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if found.len() > MAX_NAME_BYTES {
        return None;
    }
    let limit = (found.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(found, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_too_long_for_a_typo_is_not_compared() {
        let known = "x".repeat(129);
        assert_eq!(nearest(&"x".repeat(128), [&*known]), Some(&*known));
        assert_eq!(nearest(&known, [&*known]), None);
        assert_eq!(
            nearest("max_batch_sise", ["max_batch_size", &*known]),
            Some("max_batch_size")
        );
    }
}
