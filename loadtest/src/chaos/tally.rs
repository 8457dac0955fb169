//! What became of the requests of a scenario, and the verdict.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    BUDGET,
    load::{Ending, Outcome},
    oracle::TIERS,
};

/// What may be late, as a share of what was answered.
const LATE_SHARE: f64 = 0.001;
/// By when the answers are whole again.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);
/// A request sent so shortly before SIGTERM may not have been read when it came.
const ON_ITS_WAY: Duration = Duration::from_millis(5);
/// Of each kind of failure, how many are told.
const EXAMPLES: usize = 3;

/// When what was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// The first fault.
    pub(super) fault: Instant,
    /// The last part was whole again.
    pub(super) heal: Instant,
    /// When the gateway was told to end and when it served again, if it was.
    pub(super) gone: Option<(Instant, Instant)>,
}

/// Answers by phase: before the fault, during it, after it.
pub(super) type ByPhase = [PhaseCount; 3];

/// Answers of a phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PhaseCount {
    /// By tier.
    pub(super) tiers: [usize; TIERS.len()],
    /// How many lacked features.
    pub(super) without_features: usize,
    /// Why the primary tier did not answer the others, and how often.
    pub(super) skips: BTreeMap<String, usize>,
}

/// The counts of a scenario.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) answered: usize,
    pub(super) late: usize,
    pub(super) wrong: usize,
    /// Neither answered nor refused by a gateway that had been told to end.
    pub(super) lost: usize,
    /// Turned away while the gateway was gone.
    pub(super) refused: usize,
    pub(super) phases: ByPhase,
    /// From the heal to the last answer that was not whole.
    pub(super) recovery: Duration,
    /// The slowest answer.
    pub(super) slowest: Duration,
    /// Some of what went wrong, in words.
    pub(super) examples: Vec<String>,
}

impl Tally {
    pub(super) fn of(outcomes: &[Outcome], marks: &Marks) -> Self {
        let mut tally = Self::default();
        let mut told = [0; 3];
        let mut tell = |tally: &mut Self, kind: usize, text: String| {
            told[kind] += 1;
            if told[kind] <= EXAMPLES {
                tally.examples.push(text);
            }
        };
        for outcome in outcomes {
            let at = since(outcome.sent_at, marks.fault);
            match &outcome.ending {
                Ending::Answered(judgement) => {
                    tally.answered += 1;
                    let took = outcome.ended_at - outcome.sent_at;
                    tally.slowest = tally.slowest.max(took);
                    if took > BUDGET {
                        tally.late += 1;
                        let tier = TIERS[judgement.tier];
                        tell(
                            &mut tally,
                            0,
                            format!("late: {took:.1?} by {tier}, sent {at}"),
                        );
                    }
                    if let Some(why) = &judgement.wrong {
                        tally.wrong += 1;
                        tell(&mut tally, 1, format!("wrong: {why}, sent {at}"));
                    }
                    let phase = usize::from(outcome.sent_at >= marks.fault)
                        + usize::from(outcome.sent_at >= marks.heal);
                    let count = &mut tally.phases[phase];
                    count.tiers[judgement.tier] += 1;
                    count.without_features += usize::from(!judgement.features);
                    if let Some(reason) = &judgement.skipped {
                        *count.skips.entry(reason.clone()).or_default() += 1;
                    }
                }
                Ending::Refused(_) if marks.was_gone(outcome.sent_at) => tally.refused += 1,
                Ending::Refused(why) | Ending::Failed(why) => {
                    tally.lost += 1;
                    tell(&mut tally, 2, format!("lost: {why}, sent {at}"));
                }
            }
            if outcome.sent_at >= marks.heal && !outcome.is_whole() {
                let after = outcome.sent_at - marks.heal;
                tally.recovery = tally.recovery.max(after);
            }
        }
        tally
    }

    /// What this breaks of what every scenario must keep.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let late_allowed = (self.answered as f64 * LATE_SHARE).floor() as usize;
        if self.answered == 0 {
            faults.push("nothing was answered".to_owned());
        }
        if self.lost > 0 {
            faults.push(format!("{} lost", self.lost));
        }
        if self.wrong > 0 {
            faults.push(format!("{} wrong", self.wrong));
        }
        if self.late > late_allowed {
            faults.push(format!("{} late of {late_allowed} allowed", self.late));
        }
        if self.recovery > RECOVERY_LIMIT {
            faults.push("not whole again in time".to_owned());
        }
        faults
    }
}

impl Marks {
    /// Whether a request sent then may be refused.
    fn was_gone(&self, sent_at: Instant) -> bool {
        self.gone
            .is_some_and(|(from, to)| sent_at + ON_ITS_WAY >= from && sent_at <= to)
    }
}

impl Outcome {
    /// Answered by the primary tier, with every feature.
    pub(super) fn is_whole(&self) -> bool {
        matches!(&self.ending, Ending::Answered(judgement) if judgement.tier == 0 && judgement.features)
    }
}

/// A moment, as it is told: seconds from the fault.
fn since(at: Instant, fault: Instant) -> String {
    if at >= fault {
        format!("{:.2} s after the fault", (at - fault).as_secs_f64())
    } else {
        format!("{:.2} s before the fault", (fault - at).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::oracle::Judgement;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn answered(sent_at: Instant, took: Duration, tier: usize, features: bool) -> Outcome {
        Outcome {
            sent_at,
            ended_at: sent_at + took,
            ending: Ending::Answered(Judgement {
                tier,
                features,
                skipped: (tier > 0).then(|| "timeout".to_owned()),
                wrong: None,
            }),
        }
    }

    fn refused(sent_at: Instant) -> Outcome {
        Outcome {
            sent_at,
            ended_at: sent_at,
            ending: Ending::Refused("no".into()),
        }
    }

    #[test]
    fn answers_are_counted_where_they_were_sent() {
        let start = Instant::now();
        let marks = Marks {
            fault: start + ms(100),
            heal: start + ms(200),
            gone: None,
        };
        let outcomes = [
            answered(start, ms(1), 0, true),
            answered(start + ms(100), ms(51), 1, true),
            answered(start + ms(200), ms(50), 0, false),
            answered(start + ms(700), ms(1), 2, true),
            answered(start + ms(800), ms(1), 0, true),
        ];
        let tally = Tally::of(&outcomes, &marks);
        assert_eq!((tally.answered, tally.late, tally.lost), (5, 1, 0));
        assert_eq!(tally.recovery, ms(500));
        assert_eq!(tally.slowest, ms(51));
        let timeouts = |phase: &PhaseCount| phase.skips.get("timeout").copied().unwrap_or(0);
        let counts = tally
            .phases
            .each_ref()
            .map(|phase| (phase.tiers, phase.without_features, timeouts(phase)));
        let expected = [([1, 0, 0], 0, 0), ([0, 1, 0], 0, 1), ([2, 0, 1], 1, 1)];
        assert_eq!(counts, expected);
        assert_eq!(tally.faults(), ["1 late of 0 allowed"]);
    }

    #[test]
    fn a_refusal_is_a_loss_unless_the_gateway_was_gone() {
        let start = Instant::now();
        let mut marks = Marks {
            fault: start + ms(100),
            heal: start + ms(900),
            gone: None,
        };
        let sent = [0, 94, 95, 200, 900, 901].map(|at| refused(start + ms(at)));
        assert_eq!(Tally::of(&sent, &marks).lost, 6);
        marks.gone = Some((start + ms(100), start + ms(900)));
        let tally = Tally::of(&sent, &marks);
        assert_eq!((tally.lost, tally.refused), (3, 3));
    }

    #[test]
    fn a_thousandth_may_be_late_and_nothing_may_be_wrong() {
        let start = Instant::now();
        let marks = Marks {
            fault: start,
            heal: start,
            gone: None,
        };
        let mut outcomes = vec![answered(start, ms(1), 0, true); 1_999];
        outcomes.push(answered(start, ms(60), 0, true));
        assert!(Tally::of(&outcomes, &marks).faults().is_empty());
        outcomes.push(answered(start, ms(60), 0, true));
        outcomes.push(answered(start, ms(60), 0, true));
        assert_eq!(
            Tally::of(&outcomes, &marks).faults(),
            ["3 late of 2 allowed"]
        );
        if let Ending::Answered(judgement) = &mut outcomes[0].ending {
            judgement.wrong = Some("another row's".into());
        }
        assert_eq!(Tally::of(&outcomes, &marks).faults().len(), 2);
        assert_eq!(Tally::of(&[], &marks).faults(), ["nothing was answered"]);
    }
}
