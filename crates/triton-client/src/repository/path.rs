//! The names that findings give to fields: `dynamic_batching.default_queue_policy`,
//! `input[0].dims[1]`, `parameters["gavel.features.x"]`.

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) name: &'a str,
    pub(super) index: Option<Index<'a>>,
}

/// Which of the values of a repeated field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Index<'a> {
    /// By number, from 0.
    At(usize),
    /// By the key of a map's entry.
    Key(&'a str),
}

/// The steps of a path; a malformed rest is left out.
pub(super) fn segments(path: &str) -> Vec<Segment<'_>> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (index, after) = index(after);
        found.push(Segment { name, index });
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    found
}

fn index(text: &str) -> (Option<Index<'_>>, &str) {
    let Some(inside) = text.strip_prefix('[') else {
        return (None, text);
    };
    if let Some(key) = inside.strip_prefix('"') {
        return match key.split_once("\"]") {
            Some((key, rest)) => (Some(Index::Key(key)), rest),
            None => (None, ""),
        };
    }
    match inside.split_once(']') {
        Some((number, rest)) => (number.parse().ok().map(Index::At), rest),
        None => (None, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_row_of_names_with_indexes() {
        let path = "ensemble_scheduling.step[1].input_map[\"a.b[0]\"].value";
        let found = segments(path);
        assert_eq!(found.len(), 4);
        assert_eq!(found[1].index, Some(Index::At(1)));
        assert_eq!(
            found[2],
            Segment {
                name: "input_map",
                index: Some(Index::Key("a.b[0]"))
            }
        );
        assert_eq!(segments("dims[x"), segments("dims"));
        assert_eq!(segments(""), []);
    }
}
