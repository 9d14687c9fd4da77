//! `rollcall doctor`: is everything in order? Looks, changes nothing.

use outbound::ReadDirectory as _;
use runtime::{Exit, Fault};
use secrecy::ExposeSecret;
use serde_json::json;
use store::{Store, StoreError};

use crate::{
    args::{DoctorArgs, Output},
    local::world::{connect, unreadable},
    policy_file, show,
};

/// One thing that was looked at.
struct Finding {
    what: String,
    result: Result<String, Fault>,
}

/// Looks at the policy, the secrets, the credentials at each vendor and the servers, and goes on after what fails.
///
/// # Errors
/// When the policy cannot be right; without it there is nothing to look at.
pub async fn doctor(args: &DoctorArgs) -> Result<Exit, Fault> {
    let loaded = policy_file::load(&args.policy)?;
    let mut findings = vec![Finding {
        what: "policy".to_owned(),
        result: Ok(format!(
            "{} for tenant {}",
            show::counted(loaded.policy.rules.len() as u64, "rule", "rules"),
            loaded.policy.tenant
        )),
    }];
    for id in loaded.policy.used() {
        let Some(directory) = loaded.policy.directories.get(id) else { continue };
        let result = async {
            let reader = connect(&loaded.policy, directory, &loaded.base)?;
            let read = reader.probe().await.map_err(|error| unreadable(id, &error))?;
            let own = reader.who_am_i().await.map_err(|error| unreadable(id, &error))?;
            Ok(match own.len() {
                0 => format!("the credentials are accepted: {read}"),
                _ => {
                    format!("the credentials are accepted: {read}; their own account is known and will not be touched")
                }
            })
        };
        findings.push(Finding { what: format!("directory {id}"), result: result.await });
    }
    if let Some(url) = args.nats.as_ref().map(ExposeSecret::expose_secret) {
        let of = crate::services::access()?;
        let access = bus::Access { credentials: of.credentials()?, tls: Some(of.tls()?) };
        let options = bus::BusOptions { declare: false, replicas: 1 };
        let result = match bus::Bus::connect_as(url, "doctor", access, options).await {
            Ok(_) => Ok("answers".to_owned()),
            Err(bus::BusError::Denied(why)) => Err(Fault::nats_denies(url, &why)),
            Err(error) => Err(Fault::nats_unreachable(url, &error)),
        };
        findings.push(Finding { what: "NATS".to_owned(), result });
    }
    if let Some(url) = args.database.as_ref().map(ExposeSecret::expose_secret) {
        let by = crate::services::access()?.tls()?;
        let result = async {
            let store = Store::connect_by(url, Some(by), None, 1).await?;
            store.ping().await
        };
        let result = result.await.map(|()| "answers".to_owned());
        let result = result.map_err(|error| match &error {
            StoreError::Unreachable(_) => Fault::no_postgres(url, &error, &error.why()),
            other => Fault::postgres_refuses(url, "service", other),
        });
        findings.push(Finding { what: "PostgreSQL".to_owned(), result });
    }
    print(&findings, args.output);
    let worst = findings.iter().filter_map(|finding| finding.result.as_ref().err()).map(|fault| fault.exit);
    // Bad credentials (1) are told before servers that may come back (75).
    Ok(worst.min().unwrap_or(Exit::Done))
}

fn print(findings: &[Finding], output: Output) {
    if output == Output::Table {
        let rows = findings.iter().map(|Finding { what, result }| match result {
            Ok(text) => vec!["ok".to_owned(), what.clone(), text.clone()],
            Err(fault) => {
                vec!["FAILED".to_owned(), what.clone(), format!("{}: {} ({})", fault.code, fault.message, fault.help)]
            }
        });
        show::data(&show::table::table(&["", "what", "found"], rows));
        return;
    }
    let found: Vec<_> = findings
        .iter()
        .map(|Finding { what, result }| match result {
            Ok(text) => json!({ "what": what, "ok": true, "found": text }),
            Err(fault) => {
                json!({ "what": what, "ok": false, "code": fault.code, "found": fault.message, "help": fault.help })
            }
        })
        .collect();
    if output == Output::Json {
        show::json(&json!({ "schema": "rollcall.doctor/1", "findings": found }), true);
    } else {
        for finding in &found {
            show::json(finding, false);
        }
    }
}
