//! `gavel check`.

use gateway::{
    check,
    config::Config,
    diagnostic::{Report, count},
    serve::Failure,
};

/// Checks every file; the problems are in `report`.
pub(crate) fn run(config: &Config, report: &mut Report) -> Result<String, Failure> {
    let checked = check::run(config, report);
    let found = format!(
        "{} and {}",
        count(report.errors(), "error"),
        count(report.warnings(), "warning")
    );
    if report.errors() > 0 {
        return Err(Failure(format!("{found} in {checked}")));
    }
    Ok(format!("ok: {checked}; {found}"))
}
