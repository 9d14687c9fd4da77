//! Handing over what a leaver leads at Jira: found by reading, replaced one by one (§2.1). What was replaced before a crash
//! is not found again.

use atlassian::dc::{components_led, projects_led};
use model::{Disposition, Lane};
use outbound::{Method, Request, Turn};
use serde_json::{Value, json};

use super::{DcWriter, Write};
use crate::target::{list, look};
use crate::{Answered, classify::dc};

const PROJECTS: &str = "/rest/api/2/project";
const COMPONENTS: &str = "/rest/api/2/component/page";
/// More pages than any instance has components.
const PAGES_MAX: usize = 10_000;

/// Replaces the lead of every project, and of every component, that `name` leads. `Err`: what was not to be done, or not
/// to be read.
pub(super) async fn replace(
    writer: &DcWriter,
    turn: &Turn,
    name: &str,
    (project, component): (Option<&str>, Option<&str>),
) -> Result<(), Answered> {
    let led = |lead: &str| names([name, lead]);
    if let Some(lead) = project {
        let request = Request::get(PROJECTS, &[]).query("expand", "lead").lane(turn.lane());
        let all = look(&writer.client, &request).await?.unwrap_or_default();
        let keys = projects_led(&all, name).ok_or_else(|| unreadable(PROJECTS))?;
        for key in keys {
            let request = Request::new(Method::PUT, "/rest/api/2/project/{projectIdOrKey}", &[&key]);
            let request = request.json(json!({ "lead": lead }));
            done(writer.send(turn, Write { request, judge: dc::lead, names: led(lead) }).await.0)?;
        }
    }
    if let Some(lead) = component {
        for id in components(writer, turn.lane(), name).await? {
            let request = Request::new(Method::PUT, "/rest/api/2/component/{id}", &[&id]);
            let request = request.json(json!({ "leadUserName": lead }));
            done(writer.send(turn, Write { request, judge: dc::lead, names: led(lead) }).await.0)?;
        }
    }
    Ok(())
}

async fn components(writer: &DcWriter, lane: Lane, name: &str) -> Result<Vec<String>, Answered> {
    let (mut found, mut start) = (Vec::new(), 0);
    for _ in 0..PAGES_MAX {
        let request = Request::get(COMPONENTS, &[]).query("startAt", start.to_string()).lane(lane);
        let page = look(&writer.client, &request).await?.unwrap_or_default();
        found.extend(components_led(&page, name).ok_or_else(|| unreadable(COMPONENTS))?);
        let came = list(&page, "/values").len();
        start += came;
        if came == 0 || page.get("isLast").and_then(Value::as_bool) == Some(true) {
            return Ok(found);
        }
    }
    Err(unreadable(COMPONENTS))
}

fn done(answered: Answered) -> Result<(), Answered> {
    if answered.holds() { Ok(()) } else { Err(answered) }
}

fn unreadable(template: &str) -> Answered {
    let failed = crate::target::not_here(&format!("GET {template}: the answer is of another shape than documented"));
    failed.with(Disposition::Unknown)
}

fn names(names: [&str; 2]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}
