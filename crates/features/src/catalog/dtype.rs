//! How a feature's type is written: `int64`, or `int64[5]` for a list of five.

use super::problem::Report;
use super::reader::Node;
use crate::suggest::did_you_mean;
use crate::value::{Dtype, MAX_LIST_LENGTH, Scalar};

pub(super) fn dtype(node: &Node<'_>, report: &mut Report) -> Option<Dtype> {
    let text = node.text(report)?;
    let (name, length) = match text.split_once('[') {
        None => (text, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(']'))),
    };
    let Some(of) = Scalar::ALL.into_iter().find(|known| known.name() == name) else {
        let hint = did_you_mean(name, Scalar::ALL.map(Scalar::name));
        let message = format!(
            "{text:?} is not a dtype: bool, int64, float32, float64 or string, or a list of one of these, such as \"int64[5]\""
        );
        report.add_with_hint(node.span(), &node.path, message, hint);
        return None;
    };
    let Some(length) = length else {
        return Some(of.into());
    };
    match length.and_then(|digits| digits.parse().ok()) {
        Some(length @ 1..=MAX_LIST_LENGTH) => Some(Dtype::List { of, length }),
        _ => {
            let message = format!(
                "{text:?} is not a dtype: a list says how many elements a model gets, 1 to {MAX_LIST_LENGTH}, such as \"{name}[5]\""
            );
            report.add(node.span(), &node.path, message);
            None
        }
    }
}
