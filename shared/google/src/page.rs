//! Walking a list page by page, and knowing whether the walk saw everything.

use std::collections::BTreeSet;

use model::{Lane, Time};
use outbound::{Answer, Client, ReadError, Request, Sense};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{read_error, sense};

/// No list of Google has so many pages: 8,000,000 memberships are 40,000. What goes on longer goes round in circles.
const PAGES_MAX: usize = 50_000;
/// How often a walk begins anew when its page token has gone bad (reference/failure-modes.md, 5).
const RESTARTS_MAX: u32 = 2;

/// A list to walk.
pub(crate) struct List<'a> {
    pub(crate) template: &'static str,
    pub(crate) values: &'a [&'a str],
    /// Name of the array in each page; absent when a page is empty.
    pub(crate) array: &'static str,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) lane: Lane,
}

/// What a walk saw.
#[derive(Debug)]
pub(crate) struct Walk<T> {
    pub(crate) rows: Vec<T>,
    /// Every page came and every row could be read.
    pub(crate) complete: bool,
    /// Why the walk ended early, if it did.
    pub(crate) error: Option<ReadError>,
    /// When the walk that `rows` are from began.
    pub(crate) began_at: Time,
}

/// One page, read.
struct Page {
    rows: Vec<Value>,
    next: Option<String>,
}

/// Walks a list to its end. A page may be short or empty and still not be the last: only a missing token ends the walk.
pub(crate) async fn walk<T: DeserializeOwned>(client: &Client, list: &List<'_>, progress: impl Fn(u64)) -> Walk<T> {
    let mut walk = Walk { rows: Vec::new(), complete: false, error: None, began_at: client.now() };
    let (mut token, mut seen, mut restarts) = (None::<String>, BTreeSet::new(), 0);
    let mut unreadable = 0_u64;
    for _ in 0..PAGES_MAX {
        let answer = match client.read(&request(list, token.as_deref())).await {
            Ok(answer) => answer,
            Err(error) => return failed(walk, error.into()),
        };
        if !answer.is_success() || sense(&answer) != Sense::Judged {
            if answer.status.as_u16() == 400 && token.is_some() && restarts < RESTARTS_MAX {
                restarts += 1;
                walk = Walk { rows: Vec::new(), complete: false, error: None, began_at: client.now() };
                (token, unreadable) = (None, 0);
                seen.clear();
                continue;
            }
            return failed(walk, read_error(list.template, &answer));
        }
        let page = match page(&answer, list.array) {
            Ok(page) => page,
            Err(text) => return failed(walk, shape(list, &text)),
        };
        for row in page.rows {
            match serde_json::from_value(row) {
                Ok(row) => walk.rows.push(row),
                Err(_) => unreadable += 1,
            }
        }
        progress(walk.rows.len() as u64);
        match page.next {
            None => {
                walk.complete = unreadable == 0;
                if unreadable > 0 {
                    walk.error = Some(shape(list, &format!("{unreadable} rows are of another shape than documented")));
                }
                return walk;
            }
            Some(next) if !seen.insert(next.clone()) => {
                return failed(walk, shape(list, "a page token came a second time"));
            }
            Some(next) => token = Some(next),
        }
    }
    failed(walk, shape(list, "the list does not end"))
}

fn request(list: &List<'_>, token: Option<&str>) -> Request {
    let mut request = Request::get(list.template, list.values).lane(list.lane);
    for (name, value) in &list.query {
        request = request.query(name, value.clone());
    }
    match token {
        Some(token) => request.query("pageToken", token),
        None => request,
    }
}

fn page(answer: &Answer, array: &str) -> Result<Page, String> {
    let Value::Object(mut body) = answer.json()? else {
        return Err("the answer is not an object".to_owned());
    };
    let next = match body.remove("nextPageToken") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(token).filter(|token| !token.is_empty()),
        Some(_) => return Err("the page token is not text".to_owned()),
    };
    let rows = match body.remove(array) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(format!("\"{array}\" is not a list")),
    };
    Ok(Page { rows, next })
}

fn failed<T>(mut walk: Walk<T>, error: ReadError) -> Walk<T> {
    walk.complete = false;
    walk.error = Some(error);
    walk
}

fn shape(list: &List<'_>, text: &str) -> ReadError {
    ReadError {
        disposition: model::Disposition::Retry { after: None },
        message: format!("GET {}: {text}", list.template),
        code: "shape".to_owned(),
    }
}
