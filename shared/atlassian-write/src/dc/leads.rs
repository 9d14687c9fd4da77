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

/// Replaces one lead: of a project that `name` leads, or else of a component. `Ok(None)`: nothing is led, or nobody is
/// named who would take over. One change a call, for each is admitted by itself: what is left is another attempt's.
pub(super) async fn replace_one(
    writer: &DcWriter,
    turn: &Turn,
    name: &str,
    (project, component): (Option<&str>, Option<&str>),
) -> Result<Option<Answered>, Answered> {
    if let Some(lead) = project {
        let request = Request::get(PROJECTS, &[]).query("expand", "lead").lane(turn.lane());
        let all = look(&writer.client, &request).await?.unwrap_or_default();
        let keys = projects_led(&all, name).ok_or_else(|| unreadable(PROJECTS))?;
        if let Some(key) = keys.first() {
            let request = Request::new(Method::PUT, "/rest/api/2/project/{projectIdOrKey}", &[key]);
            let request = request.json(json!({ "lead": lead }));
            return Ok(Some(writer.send(turn, Write { request, judge: dc::lead, names: names([name, lead]) }).await.0));
        }
    }
    let Some(lead) = component else { return Ok(None) };
    let Some(id) = component_led(writer, turn.lane(), name).await? else { return Ok(None) };
    let request = Request::new(Method::PUT, "/rest/api/2/component/{id}", &[&id]);
    let request = request.json(json!({ "leadUserName": lead }));
    Ok(Some(writer.send(turn, Write { request, judge: dc::lead, names: names([name, lead]) }).await.0))
}

/// The first component that somebody leads.
async fn component_led(writer: &DcWriter, lane: Lane, name: &str) -> Result<Option<String>, Answered> {
    let mut start = 0;
    for _ in 0..PAGES_MAX {
        let request = Request::get(COMPONENTS, &[]).query("startAt", start.to_string()).lane(lane);
        let page = look(&writer.client, &request).await?.unwrap_or_default();
        let found = components_led(&page, name).ok_or_else(|| unreadable(COMPONENTS))?;
        if let Some(first) = found.into_iter().next() {
            return Ok(Some(first));
        }
        let came = list(&page, "/values").len();
        start += came;
        if came == 0 || page.get("isLast").and_then(Value::as_bool) == Some(true) {
            return Ok(None);
        }
    }
    Err(unreadable(COMPONENTS))
}

fn unreadable(template: &str) -> Answered {
    let failed = crate::target::not_here(&format!("GET {template}: the answer is of another shape than documented"));
    failed.with(Disposition::Unknown)
}

fn names(names: [&str; 2]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}
