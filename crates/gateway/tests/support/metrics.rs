//! The admin port's metrics, read from Prometheus's text form.

use std::collections::BTreeMap;

use super::gateway::Gateway;

/// One scrape.
#[derive(Debug)]
pub(crate) struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Parses a page; fails at the first line that is not in the form.
    pub(crate) fn parse(page: &str) -> Self {
        let lines = page
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        let parsed = lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}")));
        Self {
            samples: parsed.collect(),
        }
    }

    /// Sums the samples of a metric that have all these labels; 0 when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let named = self.samples.iter().filter(|sample| sample.name == name);
        let has = |sample: &Sample, (label, value): &(&str, &str)| {
            sample
                .labels
                .get(*label)
                .is_some_and(|found| found == value)
        };
        let fitting = named.filter(|sample| labels.iter().all(|label| has(sample, label)));
        fitting.map(|sample| sample.value).sum()
    }

    /// Every value of a label of a metric.
    pub(crate) fn values(&self, name: &str, label: &str) -> Vec<String> {
        let named = self.samples.iter().filter(|sample| sample.name == name);
        named.filter_map(|s| s.labels.get(label).cloned()).collect()
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
    };
    let labels = labels.split_terminator("\",").map(|pair| {
        let (label, value) = pair.split_once("=\"")?;
        Some((label.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    Some(Sample {
        name: name.to_owned(),
        labels: labels.collect::<Option<_>>()?,
        value: value.parse().ok()?,
    })
}

impl Gateway {
    /// Scrapes the admin port.
    pub(crate) async fn metrics(&self) -> Metrics {
        let page = self.admin("/metrics").await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/plain"));
        Metrics::parse(page.text())
    }
}
