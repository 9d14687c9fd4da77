//! The twin against clients and documents we did not write: one test per program in `python/`.
//!
//! Every program talks to a twin of its own through a recording proxy, and every answer it gets is checked against the
//! vendors' documents. What deviates and is not in `allowed.toml` fails, and so does an entry there that is not needed.

#![expect(clippy::panic, reason = "tests")]

mod company;
mod python;

/// Runs a program and shows what it printed.
async fn run(program: &str) {
    match python::run(program).await {
        Ok(printed) => println!("{printed}"),
        Err(error) => panic!("{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_own_client_reads_pages_batches_retries_and_writes() {
    run("google_client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jira_cloud_and_scim_work_with_atlassian_python_api() {
    run("atlassian_client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_center_works_with_atlassian_python_api_and_the_vendors_documents() {
    run("data_center").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_desks_work_with_atlassian_python_api() {
    run("desk_client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confluence_is_read_with_atlassian_python_api() {
    run("wiki_client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scim_works_with_a_strict_client_of_the_standard() {
    run("scim_client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_every_operation_is_one_of_the_vendors_documents() {
    run("documents").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deviations_are_found_and_only_those_allowed_pass() {
    run("judges").await;
}
