//! `dead-letters` and `redrive`.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use crate::args::{DeadLettersArgs, DeadLettersVerb, RedriveArgs, ServerArgs};
use crate::show::{counted, table::table};

/// Shows dead letters, tries them again or gives them up.
///
/// # Errors
/// When the operators' API cannot be asked or refuses.
pub async fn dead_letters(args: &DeadLettersArgs) -> Result<Exit, Fault> {
    match &args.verb {
        None | Some(DeadLettersVerb::List) => list(&args.server).await,
        Some(DeadLettersVerb::Show { id }) => show(&args.server, *id).await,
        Some(DeadLettersVerb::Redrive { ids }) => act(&args.server, ids, None).await,
        Some(DeadLettersVerb::Discard { id, reason }) => act(&args.server, &[*id], Some(reason)).await,
    }
}

/// Tries dead letters again.
///
/// # Errors
/// When the operators' API cannot be asked or refuses.
pub async fn redrive(args: &RedriveArgs) -> Result<Exit, Fault> {
    act(&args.server, &args.ids, None).await
}

async fn list(args: &ServerArgs) -> Result<Exit, Fault> {
    let client = Client::new(&args.server, args.token_file.as_deref())?;
    let list: ops::DeadLetterList = client.get(&["dead-letters"], &[]).await?;
    super::print(args.output, "rollcall.dead-letters/1", "letters", &list.letters, || lines(&list.letters));
    Ok(Exit::Done)
}

fn lines(letters: &[ops::DeadLetter]) -> String {
    if letters.is_empty() {
        return "No dead letters.\n".to_owned();
    }
    let rows = letters.iter().map(|letter| {
        let parts: Vec<&str> = [&letter.group, &letter.account].into_iter().flatten().map(String::as_str).collect();
        vec![
            letter.id.to_string(),
            letter.target.clone(),
            letter.class.clone(),
            format!("{} {}", letter.fault, parts.join(" / ")),
            letter.state.clone(),
            letter.attempts.to_string(),
            letter.last_at.clone(),
            letter.remedy.clone(),
        ]
    });
    table(&["ID", "TARGET", "CLASS", "AT FAULT", "STATE", "MET", "LAST", "WHAT TO DO"], rows)
}

async fn show(args: &ServerArgs, id: u64) -> Result<Exit, Fault> {
    let client = Client::new(&args.server, args.token_file.as_deref())?;
    let detail: ops::DeadLetterDetail = client.get(&["dead-letters", &id.to_string()], &[]).await?;
    super::print_one(args.output, "rollcall.dead-letter/1", &detail, || {
        let mut text = lines(detail.letter.as_slice());
        let rows = detail.attempts.iter().map(|attempt| {
            let status = attempt.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            vec![attempt.at.clone(), attempt.request.clone(), status, attempt.answer.clone()]
        });
        text.push('\n');
        text.push_str(&table(&["AT", "REQUEST", "STATUS", "ANSWER (REDACTED)"], rows));
        if let Some(trace) = detail.letter.as_ref().and_then(|letter| letter.trace.as_ref()) {
            text.extend([format!("trace {trace}\n")]);
        }
        text
    });
    Ok(Exit::Done)
}

/// Without ids, all open ones are tried again.
async fn act(args: &ServerArgs, ids: &[u64], discard: Option<&String>) -> Result<Exit, Fault> {
    let client = Client::new(&args.server, args.token_file.as_deref())?;
    let verb = if discard.is_some() { "discard" } else { "redrive" };
    let action = ops::DeadLetterAction {
        ids: ids.to_vec(),
        all: ids.is_empty(),
        reason: discard.cloned().unwrap_or_default(),
        ..ops::DeadLetterAction::default()
    };
    let answer: ops::DeadLetterActionAnswer = client.post(&["dead-letters", verb], &action).await?;
    super::print_one(args.output, "rollcall.dead-letter-action/1", &answer, || {
        let acted = counted(answer.acted, "letter", "letters");
        let what = if discard.is_some() { "given up" } else { "decided afresh and tried again if still needed" };
        format!("{acted} {what}; {} closed already, {} no longer needed\n", answer.superseded, answer.moot)
    });
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_a_line_with_what_to_do() {
        let letter = ops::DeadLetter {
            id: 7,
            target: "cloud".to_owned(),
            fault: "person".to_owned(),
            account: Some("712020:a".to_owned()),
            class: "unknown-user".to_owned(),
            remedy: "restore it, then redrive".to_owned(),
            ..ops::DeadLetter::default()
        };
        let text = lines(&[letter]);
        assert!(text.contains("person 712020:a") && text.contains("restore it, then redrive"), "{text}");
        assert_eq!(lines(&[]), "No dead letters.\n");
    }
}
