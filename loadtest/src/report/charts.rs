//! Charts as SVG: latency by offered load and by callers, and who answers as the load grows.

use plotters::{
    coord::ranged1d::{Ranged, ValueFormatter},
    prelude::*,
};

use super::summary::{Cell, Summary};

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

/// File names and their contents. A chart without points is left out.
pub(super) fn draw(summary: &Summary) -> Result<Vec<(&'static str, String)>, String> {
    let mut drawn = Vec::new();
    let mut add = |name, svg: Result<Option<String>, _>| {
        let svg = svg.map_err(|error: Box<dyn std::error::Error>| format!("{name}: {error}"))?;
        drawn.extend(svg.map(|svg| (name, svg)));
        Ok::<_, String>(())
    };
    // Another Triton would make another line.
    let open = |cell: &Cell| match cell.is_paced() {
        true => None,
        false => cell.median(|record| record.offered),
    };
    add(
        "latency-open.svg",
        latency(
            summary,
            "Latency by offered load (open loop)",
            "questions a second",
            open,
        ),
    )?;
    let closed = |cell: &Cell| cell.scenario.strip_prefix("closed-")?.parse().ok();
    add(
        "latency-closed.svg",
        latency(
            summary,
            "Latency by callers (closed loop)",
            "callers",
            closed,
        ),
    )?;
    add(
        "brownout-paced.svg",
        brownout(
            summary,
            "Who answers, by offered load (paced)",
            Cell::is_paced,
        ),
    )?;
    add(
        "brownout-capacity.svg",
        brownout(
            summary,
            "Who answers, by offered load (on this machine's own CPU, loader included)",
            |cell| !cell.is_paced(),
        ),
    )?;
    Ok(drawn)
}

fn latency(
    summary: &Summary,
    title: &str,
    x_name: &str,
    x: impl Fn(&Cell) -> Option<f64>,
) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let mut series = Vec::new();
    for (system, colour) in SYSTEMS {
        let cells: Vec<_> = summary
            .cells
            .iter()
            .filter(|cell| cell.system == system)
            .collect();
        for (quantile, thin) in [("p50", true), ("p99", false)] {
            let mut points: Vec<_> = cells
                .iter()
                .filter_map(|cell| {
                    let us = match thin {
                        true => cell.median(|record| Some(record.p50_us)),
                        false => cell.median(|record| Some(record.p99_us)),
                    };
                    Some((x(cell)?, us? / 1e3))
                })
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            series.push(Series {
                name: format!("{system} {quantile}"),
                colour,
                thin,
                points,
            });
        }
    }
    let Some(((left, right), (low, high))) = bounds(&series) else {
        return Ok(None);
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(
                (left..right).log_scale(),
                (low * 0.8..high * 1.25).log_scale(),
            )?;
        finish(chart, x_name, "ms", &series)?;
        root.present()?;
    }
    Ok(Some(svg))
}

fn brownout(
    summary: &Summary,
    title: &str,
    shown: impl Fn(&Cell) -> bool,
) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let mut cells: Vec<_> = summary
        .cells
        .iter()
        .filter(|cell| cell.system == "gavel" && shown(cell))
        .filter_map(|cell| Some((cell.median(|record| record.offered)?, cell.shares())))
        .collect();
    cells.sort_by(|a, b| a.0.total_cmp(&b.0));
    let series: Vec<_> = TIERS
        .iter()
        .enumerate()
        .map(|(tier, (name, colour))| Series {
            name: (*name).to_owned(),
            colour: *colour,
            thin: false,
            points: cells
                .iter()
                .map(|(rate, shares)| (*rate, 100.0 * shares[tier]))
                .collect(),
        })
        .collect();
    let Some(((left, right), _)) = bounds(&series) else {
        return Ok(None);
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d((left..right).log_scale(), 0.0..105.0)?;
        finish(chart, "questions a second", "% of answers", &series)?;
        root.present()?;
    }
    Ok(Some(svg))
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

fn finish<'a, 'b: 'a, X, Y>(
    mut chart: Chart<'a, 'b, X, Y>,
    x_name: &str,
    y_name: &str,
    series: &[Series],
) -> Result<(), Box<dyn std::error::Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .max_light_lines(1)
        .x_desc(x_name)
        .y_desc(y_name)
        .draw()?;
    for line in series.iter().filter(|line| !line.points.is_empty()) {
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
    use super::{super::Record, super::record::tests::record, *};

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
        let svg = brownout(&summary, "", |_| true).unwrap().unwrap();
        for (tier, _) in TIERS {
            assert!(svg.contains(tier), "{tier}");
        }
    }
}
