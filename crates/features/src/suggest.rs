//! "Did you mean": the known name nearest to one that is not known.

/// A hint such as ``did you mean `card_id`?``, when some candidate is near enough to be a typo.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    // Past this length a name is not a typo of anything, and distance costs the square of it.
    if name.len() > 128 {
        return None;
    }
    let limit = 1 + name.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Levenshtein distance, counting a swap of two neighbours as one edit (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for j in 0..b.len() {
            let changed = above[j] + usize::from(a[i] != b[j]);
            let mut best = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name_and_only_a_near_one() {
        let known = ["card_id", "store_id", "amount"];
        assert_eq!(
            did_you_mean("card_di", known).unwrap(),
            "did you mean `card_id`?"
        );
        assert_eq!(
            did_you_mean("amont", known).unwrap(),
            "did you mean `amount`?"
        );
        assert_eq!(did_you_mean("currency", known), None);
        assert_eq!(did_you_mean("", known), None);
    }

    #[test]
    fn a_swap_is_one_edit() {
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
