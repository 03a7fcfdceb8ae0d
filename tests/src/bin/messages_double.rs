//! The double of the Messages API for use by hand: prints its URL and serves until it is interrupted.
#![forbid(unsafe_code)]

use anyhow::Result;
use reveille_tests::MessagesApi;

#[tokio::main]
async fn main() -> Result<()> {
    let api = MessagesApi::start().await?;
    #[expect(clippy::print_stdout, reason = "its only output")]
    {
        println!("{}", api.url());
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
