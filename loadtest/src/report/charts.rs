//! Charts as SVG: latency by offered load and by callers, and who answers as the load grows.

use plotters::{
    coord::ranged1d::{Ranged, ValueFormatter},
    prelude::*,
};

use super::{
    Record,
    summary::{Cell, Summary},
};

const SIZE: (u32, u32) = (900, 480);
const SYSTEMS: [(&str, RGBColor); 3] = [
    ("gavel", RGBColor(0, 90, 181)),
    ("bare-pipe", RGBColor(220, 50, 32)),
    ("direct", RGBColor(110, 110, 110)),
];
const TIERS: [(&str, RGBColor); 3] = [
    ("primary", RGBColor(0, 90, 181)),
    ("secondary", RGBColor(230, 159, 0)),
    ("rules", RGBColor(150, 150, 150)),
];

/// A line and its name.
struct Series {
    name: String,
    colour: RGBColor,
    /// Thinner, for the second of a pair.
    thin: bool,
    points: Vec<(f64, f64)>,
}

/// What a chart shows.
struct Picture {
    file: &'static str,
    title: &'static str,
    x_name: &'static str,
    y: Y,
    series: Vec<Series>,
}

/// What its vertical axis means.
#[derive(Clone, Copy)]
enum Y {
    /// In milliseconds, on a logarithmic scale.
    Latency,
    /// In percent of all answers.
    Share,
}

type Failure = Box<dyn std::error::Error>;
type Value = fn(&Record) -> f64;

/// File names and their contents. A chart without points is left out.
pub(super) fn draw(summary: &Summary) -> Result<Vec<(&'static str, String)>, String> {
    // Another Triton would make another line.
    let open = |cell: &Cell| match cell.is_paced() {
        true => None,
        false => cell.median(|record| record.offered),
    };
    let closed = |cell: &Cell| cell.scenario.strip_prefix("closed-")?.parse().ok();
    let pictures = [
        Picture {
            file: "latency-open.svg",
            title: "Latency by offered load (open loop)",
            x_name: "questions a second",
            y: Y::Latency,
            series: latencies(summary, open),
        },
        Picture {
            file: "latency-closed.svg",
            title: "Latency by callers (closed loop)",
            x_name: "callers",
            y: Y::Latency,
            series: latencies(summary, closed),
        },
        Picture {
            file: "brownout-paced.svg",
            title: "Who answers, by offered load (paced)",
            x_name: "questions a second",
            y: Y::Share,
            series: shares(summary, Cell::is_paced),
        },
        Picture {
            file: "brownout-capacity.svg",
            title: "Who answers, by offered load (on this machine's own CPU, loader included)",
            x_name: "questions a second",
            y: Y::Share,
            series: shares(summary, |cell| !cell.is_paced()),
        },
    ];
    let mut drawn = Vec::new();
    for picture in pictures {
        let svg = picture.draw();
        let svg = svg.map_err(|error| format!("{}: {error}", picture.file))?;
        drawn.extend(svg.map(|svg| (picture.file, svg)));
    }
    Ok(drawn)
}

/// Two lines a system.
fn latencies(summary: &Summary, x: impl Fn(&Cell) -> Option<f64>) -> Vec<Series> {
    let quantiles: [(_, _, Value); 2] = [
        ("p50", true, |record| record.p50_us),
        ("p99", false, |record| record.p99_us),
    ];
    let mut series = Vec::new();
    for (system, colour) in SYSTEMS {
        for (quantile, thin, us) in quantiles {
            let cells = summary.cells.iter().filter(|cell| cell.system == system);
            let points =
                cells.filter_map(|cell| Some((x(cell)?, cell.median(|r| Some(us(r)))? / 1e3)));
            series.push(Series {
                name: format!("{system} {quantile}"),
                colour,
                thin,
                points: sorted(points),
            });
        }
    }
    series
}

/// A line a tier of Gavel's.
fn shares(summary: &Summary, shown: impl Fn(&Cell) -> bool) -> Vec<Series> {
    let line = |(tier, (name, colour)): (usize, (&str, RGBColor))| {
        let cells = summary.cells.iter();
        let cells = cells.filter(|cell| cell.system == "gavel" && shown(cell));
        let points = cells.filter_map(|cell| {
            let offered = cell.median(|record| record.offered)?;
            Some((offered, 100.0 * cell.shares()[tier]))
        });
        Series {
            name: name.to_owned(),
            colour,
            thin: false,
            points: sorted(points),
        }
    };
    TIERS.into_iter().enumerate().map(line).collect()
}

fn sorted(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

impl Picture {
    /// As SVG; `None` without points.
    fn draw(&self) -> Result<Option<String>, Failure> {
        let Some(((left, right), (low, high))) = bounds(&self.series) else {
            return Ok(None);
        };
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            root.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&root);
            chart
                .caption(self.title, ("sans-serif", 20))
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(64);
            match self.y {
                Y::Latency => {
                    let x = (left..right).log_scale();
                    let y = (low * 0.8..high * 1.25).log_scale();
                    self.plot(chart.build_cartesian_2d(x, y)?, "ms")?;
                }
                Y::Share => {
                    let area = chart.build_cartesian_2d(0.0..right * 1.05, 0.0..105.0)?;
                    self.plot(area, "% of answers")?;
                }
            }
            root.present()?;
        }
        Ok(Some(svg))
    }

    fn plot<'a, 'b: 'a, H, V>(
        &self,
        mut chart: Chart<'a, 'b, H, V>,
        y_name: &str,
    ) -> Result<(), Failure>
    where
        H: Ranged<ValueType = f64> + ValueFormatter<f64>,
        V: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        chart
            .configure_mesh()
            .x_labels(6)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .max_light_lines(1)
            .x_desc(self.x_name)
            .y_desc(y_name)
            .draw()?;
        for line in self.series.iter().filter(|line| !line.points.is_empty()) {
            let style = line.colour.stroke_width(if line.thin { 1 } else { 2 });
            let drawn = chart.draw_series(LineSeries::new(line.points.clone(), style))?;
            drawn
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            let dots = line
                .points
                .iter()
                .map(|point| Circle::new(*point, 3, line.colour.filled()));
            chart.draw_series(dots)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        Ok(())
    }
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// The smallest and largest x, and the same of y; `None` without points.
fn bounds(series: &[Series]) -> Option<((f64, f64), (f64, f64))> {
    let points = || series.iter().flat_map(|line| &line.points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        // A single value has no width to draw in.
        (low < f64::INFINITY).then_some(if low < high {
            (low, high)
        } else {
            (low / 2.0, low * 2.0)
        })
    };
    let x = range(&mut points().map(|point| point.0))?;
    let y = range(&mut points().map(|point| point.1))?;
    Some((x, y))
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::record, *};

    #[test]
    fn every_chart_that_has_points_is_drawn() {
        let mut records = Vec::new();
        for (i, scenario) in ["capacity-1x", "capacity-2x", "capacity-5x"]
            .into_iter()
            .enumerate()
        {
            let offered = Some(1_000.0 * (i + 1) as f64);
            records.push(Record {
                offered,
                ..record(scenario, "gavel")
            });
        }
        let names = |records: &[Record]| -> Vec<_> {
            let drawn = draw(&Summary::of(records)).unwrap();
            drawn
                .iter()
                .for_each(|(_, svg)| assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n")));
            drawn.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(
            names(&records),
            ["latency-open.svg", "brownout-capacity.svg"]
        );
        assert_eq!(
            names(&[record("paced-1x", "gavel")]),
            ["brownout-paced.svg"]
        );
        assert_eq!(
            names(&[record("closed-8", "direct")]),
            ["latency-open.svg", "latency-closed.svg"]
        );
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn the_brown_out_names_every_tier() {
        let summary = Summary::of(&[record("capacity-1x", "gavel"), record("open-500", "gavel")]);
        let drawn = draw(&summary).unwrap();
        let (_, svg) = drawn
            .iter()
            .find(|(name, _)| *name == "brownout-capacity.svg")
            .unwrap();
        for (tier, _) in TIERS {
            assert!(svg.contains(tier), "{tier}");
        }
    }
}
