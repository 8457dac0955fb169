//! `gavel serve`.

use gateway::{
    config::Config,
    diagnostic::Report,
    serve::{self, Failure},
    telemetry::logs,
};

/// Serves until told to stop.
pub(crate) fn run(config: Config, report: &mut Report) -> Result<String, Failure> {
    super::with_runtime(async {
        let _logs = logs::init(&config.log);
        if report.errors() > 0 {
            return Err(Failure("the configuration has problems".into()));
        }
        serve::run(config, report).await?;
        Ok("stopped".into())
    })
}
