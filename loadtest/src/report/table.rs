//! `bench.md`: the machine, the targets, and every cell.

use std::fmt::Write as _;

use super::{
    Machine, Record,
    summary::{Cell, Summary},
    targets::{Bound, Target, Unit, targets},
};

/// The whole page, in Markdown.
pub(super) fn render(summary: &Summary, machine: &Machine) -> String {
    let mut page = String::from("# Benchmark\n\n");
    page.push_str(
        "Written by `make bench` (`make bench-quick` is the short form); every measurement is a line of \
         `bench.jsonl`. Systems take turns on one machine, which the loader shares: trust ratios, not absolute \
         times. Latencies count from the intended send time. Values are medians over rounds; lateness and counts \
         are over all rounds together. An answer is wrong unless it has the score that its tier owes that question.\n\n",
    );
    for (name, value) in machine.facts() {
        let _ = writeln!(page, "- {name}: {value}");
    }
    page.push_str("\n## Targets\n\n| | target | measured | |\n|---|---|---|---|\n");
    for target in targets(summary) {
        page.push_str(&row_of_target(&target));
    }
    page.push_str(
        "\nIn `paced`, a last step of the ensemble sleeps 4 ms for each batch of at most 8 rows, so that the primary's \
         capacity is set by time, as that of a GPU elsewhere is, and not by the CPU that the loader, the gateway and \
         Triton share here. It is what operators have; `capacity` has this machine's own CPU as its limit, loader \
         included.\n\n## Measurements\n\n",
    );
    page.push_str(
        "`gavel` and `bare-pipe` over HTTP/1.1 with JSON; `direct` is gRPC to Triton, a row a call, the tensor made \
         before; `scheduler` is the part of Gavel that merges rows, called in the loader's own process, so that its CPU is \
         the loader's. CPU is microseconds a decision: gateway (or pipe) / Triton / store, and the loader's own; beside \
         it how late the loader was to send, 99 %, which is part of the latencies.\n\n\
         | load | system | /s | p50 us | p99 us | p99.9 us | CPU us | loader | sent late us | primary, secondary, rules % | \
         late % | refused | errors | wrong | memory MiB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for cell in &summary.cells {
        page.push_str(&row_of_cell(cell));
    }
    page.push_str(
        "\n![Latency by offered load](latency-open.svg)\n\n![Latency by callers](latency-closed.svg)\n\n\
         ![Who answers, by offered load, paced](brownout-paced.svg)\n\n\
         ![Who answers, by offered load, on this machine's own CPU](brownout-capacity.svg)\n",
    );
    page
}

fn row_of_target(target: &Target) -> String {
    let shown = |value: f64| match target.unit {
        Unit::Ratio => format!("{value:.2}"),
        Unit::Share => format!("{:.3} %", 100.0 * value),
    };
    let bound = match target.bound {
        Bound::AtMost(bound) => format!("≤ {}", shown(bound)),
        Bound::AtLeast(bound) => format!("≥ {}", shown(bound)),
    };
    let measured = target.measured.map_or("not measured".to_owned(), shown);
    let note = target
        .note
        .as_ref()
        .map_or(String::new(), |note| format!(" ({note})"));
    let verdict = match target.is_met() {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "",
    };
    format!(
        "| {} | {bound} | {measured}{note} | {verdict} |\n",
        target.what
    )
}

fn row_of_cell(cell: &Cell) -> String {
    let whole = |value: fn(&Record) -> Option<f64>| {
        cell.median(value)
            .map_or("-".to_owned(), |value| format!("{value:.0}"))
    };
    let cpu = [
        whole(|record| record.cpu_us.gateway),
        whole(|record| record.cpu_us.triton),
        whole(|record| record.cpu_us.store),
    ];
    let shares = cell.shares().map(|share| format!("{:.1}", 100.0 * share));
    let offered = cell.median(|record| record.offered);
    let load = match offered {
        Some(rate) if cell.is_paced() || cell.scenario.starts_with("capacity") => {
            format!("{} ({rate:.0}/s)", cell.scenario)
        }
        _ => cell.scenario.clone(),
    };
    let memory = cell.median(|record| Some(record.rss_bytes? as f64 / f64::from(1 << 20)));
    format!(
        "| {load} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.3} | {} | {} | {} | {} |\n",
        cell.system,
        whole(|record| Some(record.throughput)),
        whole(|record| Some(record.p50_us)),
        whole(|record| Some(record.p99_us)),
        whole(|record| Some(record.p999_us)),
        cpu.join(" / "),
        whole(|record| Some(record.loader_cpu_us)),
        whole(|record| record.offered.map(|_| record.send_delay_p99_us)),
        shares.join(", "),
        100.0 * cell.late_share(),
        cell.sum(|record| record.refused),
        cell.sum(|record| record.errors),
        cell.sum(|record| record.wrong + record.unchecked),
        memory.map_or("-".to_owned(), |mib| format!("{mib:.1}")),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::record, *};

    #[test]
    fn the_page_says_where_when_and_whether() {
        let records = [
            record("closed-1", "gavel"),
            record("closed-1", "bare-pipe"),
            record("capacity-5x", "gavel"),
            record("paced-5x", "gavel"),
        ];
        let machine = Machine::for_tests([("machine", "2 cores"), ("date", "2019-08-31")]);
        let page = render(&Summary::of(&records), &machine);
        assert!(page.contains("- machine: 2 cores\n- date: 2019-08-31\n"));
        assert!(page.contains("| p50 at 1 caller, Gavel / bare pipe | ≤ 1.10 | 1.00 | met |"));
        assert!(page.contains("| late answers at 5x capacity | ≤ 0.100 % | 0.100 % | met |"));
        assert!(
            page.contains("| p50 at 256 callers, Gavel / bare pipe | ≤ 0.50 | not measured |  |")
        );
        assert!(page.contains(
            "| closed-1 | gavel | 1000 | 300 | 900 | 2000 | 50 / 100 / 5 | 9 | 60 | 99.0, 0.9, 0.1 | 0.100 | 0 | 0 | 0 | 30.0 |"
        ));
        assert!(page.contains("| capacity-5x (1000/s) | gavel |"));
        assert!(page.contains("| paced-5x (1000/s) | gavel |"));
    }
}
