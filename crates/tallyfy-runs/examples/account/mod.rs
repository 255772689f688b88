//! Where the examples ask: as the environment says, else the simulator of this workspace, started by `cargo xtask sim`.

use std::error::Error;

use tallyfy_runs::Client;

pub(crate) fn client() -> Result<Client, Box<dyn Error>> {
    let set = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let base_url = set("TALLYFY_BASE_URL", "http://127.0.0.1:4010/api");
    let client = Client::builder(set("TALLYFY_ORG_ID", "northwind"), set("TALLYFY_TOKEN", "sim-token"));
    Ok(client.base_url(base_url).build()?)
}
