//! Printing: data on standard output, everything else on standard error.

pub mod plan;
pub mod progress;
pub mod table;

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    time::Duration,
};

use runtime::{Exit, Fault};

/// Writes data. A reader that went away (`| head`) is not an error.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a value as one JSON document; `pretty` for people's eyes, otherwise one line.
pub fn json(value: &serde_json::Value, pretty: bool) {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    data(&(text.unwrap_or_default() + "\n"));
}

/// Writes a remark for the person at the terminal.
pub fn note(text: &str) {
    let mut err = std::io::stderr().lock();
    let _reader_gone = writeln!(err, "{text}");
}

/// Whether somebody can be asked: both ends are a terminal.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for exactly this answer, so that nobody removes 39 people by leaning on a key. The answer is waited for on a
/// thread of its own: who stops waiting leaves it behind, and the process may end.
///
/// # Errors
/// When nobody can be asked.
pub async fn ask(question: &str, wanted: &str) -> Result<bool, Fault> {
    if !can_ask() {
        return Err(Fault::new("E0120", Exit::Error, "there is no terminal to ask at")
            .help("look at the plan with `rollcall plan`, then give --yes; it answers the question, never a guard"));
    }
    let mut err = std::io::stderr().lock();
    let _reader_gone = write!(err, "{question} ").and_then(|()| err.flush());
    let (tell, told) = tokio::sync::oneshot::channel();
    let reading = move || {
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        // Nobody may wait for it any more.
        let _unheard = tell.send(read.map(|_| answer));
    };
    let thread = std::thread::Builder::new().name("question".to_owned()).spawn(reading);
    thread.map_err(|cause| Fault::new("E0127", Exit::Error, format!("no threads to be had: {cause}")))?;
    Ok(matches!(told.await, Ok(Ok(answer)) if answer.trim().eq_ignore_ascii_case(wanted)))
}

/// A length of time as a person says it: `41 s`, `3 min`, `2 h`.
pub fn ago(length: Duration) -> String {
    match length.as_secs() {
        secs @ 0..=119 => format!("{secs} s"),
        secs @ 120..=7199 => format!("{} min", secs / 60),
        secs @ 7200..=172_799 => format!("{} h", secs / 3600),
        secs => format!("{} d", secs / 86_400),
    }
}

/// A count with its noun in the right number.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
