//! `explain --server`.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use crate::args::ExplainArgs;
use crate::show::table::table;

/// Says why a person has access to a group, or why not, from what the services know.
///
/// # Errors
/// When the operators' API cannot be asked, or knows no such person (64).
pub async fn explain(args: &ExplainArgs) -> Result<Exit, Fault> {
    let client = Client::of(&args.server)?;
    let mut query = vec![("person", args.person.as_str())];
    if let Some(group) = &args.group {
        query.push(("group", group.as_str()));
    }
    let list: ops::ExplanationList = client.get(&["explain"], &query).await?;
    super::print(args.output, "rollcall.explanation/1", "explanations", &list.explanations, || {
        if list.explanations.is_empty() {
            return "No target group has or should have this person.\n".to_owned();
        }
        list.explanations.iter().map(text).collect::<Vec<_>>().join("\n")
    });
    Ok(Exit::Done)
}

fn text(explanation: &ops::Explanation) -> String {
    let verdict = if explanation.has { "YES" } else { "NO" };
    let mut text = format!("{verdict}: {} in {} at {}\n", explanation.person, explanation.group, explanation.target);
    let rows = explanation
        .links
        .iter()
        .map(|link| vec![if link.holds { "ok" } else { "x" }.to_owned(), link.link.clone(), link.why.clone()]);
    text.push_str(&table(&["", "LINK", "WHY"], rows));
    text.extend([format!("{}\n", explanation.because)]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_comes_first_and_the_missing_link_is_marked() {
        let link = |link: &str, holds| ops::ExplanationLink { link: link.to_owned(), holds, why: String::new() };
        let explanation = ops::Explanation {
            person: "10".to_owned(),
            group: "eng".to_owned(),
            target: "cloud".to_owned(),
            links: vec![link("in-source", true), link("matched", false)],
            because: "there is no account".to_owned(),
            ..ops::Explanation::default()
        };
        let text = text(&explanation);
        assert!(text.starts_with("NO: 10 in eng at cloud\n"), "{text}");
        assert!(text.contains("x   matched") || text.contains("x  matched"), "{text}");
    }
}
