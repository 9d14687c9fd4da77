//! Walking lists, in the three ways of the products.

use model::Lane;
use outbound::Request;
use serde_json::Value;

use super::Instance;
use crate::error::shape;
use crate::gather::Walk;

/// More pages than any list has: what goes on longer goes round in circles.
const PAGES_MAX: usize = 50_000;

/// What is asked for.
pub(super) struct List<'a> {
    pub(super) template: &'static str,
    /// Values of the template's placeholders.
    pub(super) values: &'a [&'a str],
    pub(super) query: &'a [(&'static str, String)],
    pub(super) lane: Lane,
    pub(super) paging: Paging,
}

/// How pages follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// Jira: `values`, `isLast`, `total`; the next begins where this one ends.
    JiraIndex,
    /// Jira: `values`, `isLast`, `nextCursor`.
    JiraCursor,
    /// Confluence: `results`, `totalCount`, `_links.next`.
    Confluence,
    /// Bitbucket: `values`, `isLastPage`, `nextPageStart`.
    Bitbucket,
    /// Crowd: the named list and nothing else; a page that is not full is the last.
    Crowd(&'static str, usize),
}

impl Paging {
    const fn list(self) -> &'static str {
        match self {
            Self::Confluence => "results",
            Self::Crowd(name, _) => name,
            _ => "values",
        }
    }

    /// The query parameter that says where a page begins.
    const fn start(self) -> &'static str {
        match self {
            Self::JiraIndex => "startAt",
            Self::JiraCursor => "cursor",
            Self::Confluence | Self::Bitbucket => "start",
            Self::Crowd(..) => "start-index",
        }
    }

    fn total(self, page: &Value) -> Option<u64> {
        let name = if self == Self::Confluence { "totalCount" } else { "total" };
        page.get(name).and_then(Value::as_u64)
    }

    /// Where the next page begins; `None`: this was the last.
    fn next(self, page: &Value, start: &str, came: usize) -> Option<String> {
        let after = || start.parse::<usize>().unwrap_or(0).saturating_add(came).to_string();
        let flag = |name: &str| page.get(name).and_then(Value::as_bool);
        match self {
            Self::JiraIndex => match (flag("isLast"), self.total(page)) {
                (Some(true), _) => None,
                (None, Some(total)) => Some(after()).filter(|next| next.parse::<u64>().is_ok_and(|next| next < total)),
                _ => Some(after()),
            },
            Self::JiraCursor => {
                let cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
                cursor.filter(|_| flag("isLast") != Some(true))
            }
            Self::Confluence => {
                let link = page.pointer("/_links/next").and_then(Value::as_str)?;
                let query = link.split_once('?').map_or("", |(_, query)| query);
                let told = query.split('&').find_map(|pair| pair.strip_prefix("start="));
                Some(told.map_or_else(after, str::to_owned))
            }
            Self::Bitbucket => {
                let next = page.get("nextPageStart").and_then(Value::as_u64).map(|next| next.to_string());
                next.filter(|_| flag("isLastPage") != Some(true))
            }
            Self::Crowd(_, size) => (came >= size).then(after),
        }
    }
}

impl Instance {
    /// Walks a list to its end. What is not counted as the vendor counts it is incomplete.
    pub(super) async fn walk<T>(
        &self,
        list: &List<'_>,
        read: impl Fn(&Value) -> Option<T>,
        progress: impl Fn(u64, Option<u64>),
    ) -> Walk<T> {
        let (template, paging) = (list.template, list.paging);
        let mut walk = Walk::begun(self.client.now());
        let (mut start, mut unreadable, mut seen) = (String::new(), 0, 0_u64);
        for _ in 0..PAGES_MAX {
            let mut request = Request::get(template, list.values).lane(list.lane);
            for (name, value) in list.query {
                request = request.query(name, value.clone());
            }
            if !start.is_empty() {
                request = request.query(paging.start(), start.clone());
            }
            let page: Value = match self.read(&request).await {
                Ok(page) => page,
                Err(error) => return walk.failed(error),
            };
            let Some(rows) = page.get(paging.list()).and_then(Value::as_array) else {
                return walk.failed(shape(template, "the answer is no page of a list"));
            };
            seen = seen.saturating_add(rows.len() as u64);
            for row in rows {
                match read(row) {
                    Some(row) => walk.rows.push(row),
                    None => unreadable += 1,
                }
            }
            let total = paging.total(&page);
            progress(seen, total);
            let Some(next) = paging.next(&page, &start, rows.len()) else {
                return if total.is_some_and(|total| seen < total) {
                    walk.failed(shape(template, "the instance counts more rows than it lists"))
                } else {
                    walk.ended(template, unreadable)
                };
            };
            if next == start || rows.is_empty() {
                return walk.failed(shape(template, "a page leads nowhere and is not the last"));
            }
            start = next;
        }
        walk.failed(shape(template, "the list does not end"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_product_says_in_its_own_way_where_the_next_page_begins() {
        let next = |paging: Paging, page: Value, start: &str| paging.next(&page, start, 2);
        assert_eq!(next(Paging::JiraIndex, json!({ "isLast": false, "total": 9 }), "4").as_deref(), Some("6"));
        assert_eq!(next(Paging::JiraIndex, json!({ "total": 6 }), "4"), None);
        assert_eq!(next(Paging::JiraIndex, json!({ "isLast": true, "total": 9 }), "4"), None);
        assert_eq!(next(Paging::JiraCursor, json!({ "isLast": false, "nextCursor": "x" }), "").as_deref(), Some("x"));
        assert_eq!(next(Paging::JiraCursor, json!({ "isLast": true }), "x"), None);
        let page = json!({ "_links": { "next": "/rest/api/group?limit=2&start=7" } });
        assert_eq!(next(Paging::Confluence, page, "4").as_deref(), Some("7"));
        assert_eq!(next(Paging::Confluence, json!({ "_links": {} }), "4"), None);
        let page = json!({ "isLastPage": false, "nextPageStart": 11 });
        assert_eq!(next(Paging::Bitbucket, page, "4").as_deref(), Some("11"), "it need not follow on the last row");
        assert_eq!(next(Paging::Crowd("users", 2), json!({}), "4").as_deref(), Some("6"));
        assert_eq!(next(Paging::Crowd("users", 3), json!({}), "4"), None);
    }
}
