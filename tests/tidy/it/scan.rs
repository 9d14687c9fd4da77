//! Just enough of Rust's grammar for the rules: where comments, strings, tests and functions begin and end.

use std::ops::Range;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the `fn`, from 1.
    pub(crate) line: usize,
    /// From the `fn` to the closing brace, both included.
    pub(crate) lines: usize,
}

/// The text with what stands in comments, strings and character literals replaced by spaces; same length, same lines.
pub(crate) fn masked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(text, at);
        if let Some(end) = end {
            blank(&mut out, at..end);
        }
        at = end.unwrap_or(at + 1);
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Masked code with everything under `#[cfg(test)]` or `#[test]` blanked out as well.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for marker in ["#[cfg(test)]", "#[test]", "#[tokio::test"] {
        for (at, _) in code.match_indices(marker) {
            if let Some(end) = item_end(code.as_bytes(), at + marker.len()) {
                blank(&mut out, at..end);
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// All functions with a body in masked code, nested ones too. Those under `#[rustfmt::skip]` are tables, laid out by hand,
/// and left out.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = at.checked_sub(1).and_then(|before| bytes.get(before)).is_none_or(|byte| !is_word(*byte));
        let name: String = code.get(at + 3..).unwrap_or_default().chars().take_while(|c| is_word(*c as u8)).collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(body) = item_end(bytes, at).filter(|end| bytes.get(end - 1) == Some(&b'}')) {
            let lines = newlines(bytes, at..body) + 1;
            if !is_table(code, at) {
                found.push(Function { name, line: newlines(bytes, 0..at) + 1, lines });
            }
        }
    }
    found
}

/// The line of a place in the text, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    newlines(text.as_bytes(), 0..at) + 1
}

/// Where `needle` stands as a word of its own, with nothing of a name before it.
pub(crate) fn words<'text>(code: &'text str, needle: &'text str) -> impl Iterator<Item = usize> + 'text {
    code.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        at.checked_sub(1).and_then(|before| code.as_bytes().get(before)).is_none_or(|byte| !is_word(*byte))
    })
}

/// Where `name` stands as a whole name.
pub(crate) fn names<'text>(code: &'text str, name: &'text str) -> impl Iterator<Item = usize> + 'text {
    words(code, name).filter(move |at| code.as_bytes().get(at + name.len()).is_none_or(|byte| !is_word(*byte)))
}

/// The end of the comment, string or character literal that begins at `at`; `None` when none does.
fn literal_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let rest = bytes.get(at..)?;
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + block_comment_length(rest));
    }
    let after_word = at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|byte| is_word(*byte));
    match rest.first()? {
        b'"' => Some(at + string_length(rest)),
        b'r' if !after_word => raw_string_length(rest).map(|length| at + length),
        // `br"…"` and `cr"…"`; of `b"…"` the quotation mark is found by itself.
        b'b' | b'c' if !after_word => {
            raw_string_length(rest.get(1..)?).filter(|_| rest.get(1) == Some(&b'r')).map(|length| at + 1 + length)
        }
        b'\'' => character_length(text.get(at..)?).map(|length| at + length),
        _ => None,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest.get(at..).is_some_and(|here| here.starts_with(b"/*")) {
            depth += 1;
            at += 2;
        } else if rest.get(at..).is_some_and(|here| here.starts_with(b"*/")) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[u8]) -> Option<usize> {
    let hashes = rest.get(1..)?.iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let from = hashes + 2;
    let body = rest.get(from..)?;
    let end = body.windows(close.len()).position(|window| window == close).map_or(body.len(), |at| at + close.len());
    Some(from + end)
}

/// A character literal; `None` when it is a lifetime.
fn character_length(rest: &str) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if first == '\\' {
        let close = rest.get(3..)?.find('\'')?;
        return Some(3 + close + 1);
    }
    characters.next().filter(|(_, second)| *second == '\'').map(|(at, _)| at + 1)
}

/// The end of the item that begins at `from`: after its `;`, or after the brace that closes its body.
fn item_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return Some(at + 1),
            b'{' if depth == 0 => return brace_end(bytes, at),
            _ => {}
        }
    }
    None
}

fn brace_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether the attributes right before the function say that it is laid out by hand.
fn is_table(code: &str, at: usize) -> bool {
    let before = code.get(..at).unwrap_or_default();
    let item_start = before.rfind([';', '}', '{']).unwrap_or(0);
    before.get(item_start..).is_some_and(|attributes| attributes.contains("#[rustfmt::skip]"))
}

fn blank(out: &mut [u8], range: Range<usize>) {
    for byte in out.get_mut(range).into_iter().flatten() {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn newlines(bytes: &[u8], range: Range<usize>) -> usize {
    bytes.get(range).into_iter().flatten().filter(|byte| **byte == b'\n').count()
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[test]
fn comments_strings_and_characters_are_blanked_and_lines_stay() {
    let text =
        "let a = \"fn {\"; // fn x() {\nlet b = '{'; let c: &'static str = r#\"}\"#; /* { /* } */ */ let d = b'\\'';\n";
    let code = masked(text);
    assert_eq!((code.len(), code.lines().count()), (text.len(), text.lines().count()));
    assert!(!code.contains(['{', '}', '"']), "{code}");
    assert!(code.contains("&'static str") && code.contains("let d ="), "{code}");
}

#[test]
fn functions_are_measured_from_their_name_to_their_brace() {
    let text = "impl A {\n  fn one(x: [u8; 2]) -> u8 {\n    if x { 1 } else { 2 }\n  }\n}\ntrait T { fn none(); }\ntype F = fn (u8);\n\
                #[rustfmt::skip]\nfn table() {\n}\n";
    let found = functions(&masked(text));
    assert_eq!(found, [Function { name: "one".to_owned(), line: 2, lines: 3 }]);
}

#[test]
fn tests_are_left_out() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { panic!() }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}\n";
    let names: Vec<String> = functions(&without_tests(&masked(text))).into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["a", "c", "d"]);
}
