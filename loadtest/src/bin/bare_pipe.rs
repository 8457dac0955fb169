//! The bare pipe as a process: `bare-pipe --listen A --store URL --triton URL`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use loadtest::pipe::{Pipe, serve};
use tokio::net::TcpListener;

/// The thinnest program that does the job of the fraud decision: what Gavel is measured against.
#[derive(Debug, Parser)]
struct Settings {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// redis://…
    #[arg(long)]
    store: String,
    /// Triton's gRPC endpoint.
    #[arg(long)]
    triton: String,
    /// Rows to write to the store first: JSON lines of `gavel features history --views=card,store --status`.
    #[arg(long)]
    rows: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    let run = async {
        let pipe = Pipe::connect(&settings.store, &settings.triton)
            .await
            .map_err(|error| error.to_string())?;
        if let Some(file) = settings.rows {
            let rows = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
            pipe.write_rows(&rows)
                .await
                .map_err(|error| error.to_string())?;
        }
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|error| error.to_string())?;
        serve(listener, pipe)
            .await
            .map_err(|error| error.to_string())
    };
    match run.await {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("bare-pipe: {error}");
            ExitCode::FAILURE
        }
    }
}
