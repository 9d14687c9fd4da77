//! The Directory API and the token endpoint.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{READ, WRITE, ask_token, assertion, bare, claims, column, company, read, sign_in, site};

#[tokio::test]
async fn users_are_the_customers_own_in_pages() {
    let site = site(READ).await;
    let users = site.walk("users?customer=my_customer&maxResults=2", "users").await;
    assert_eq!(
        column(&users, "primaryEmail"),
        ["Ada@example.com", "bob@example.com", "cyd@example.com", "dan@example.com", "sync@example.com"]
    );
    assert_eq!(users[0]["kind"], "admin#directory#user");
    let (status, eve) = site.get("users/eve%40other.example.org").await;
    assert_eq!((status, &eve["error"]["errors"][0]["reason"]), (403, &json!("forbidden")));
    let (status, group) = site.get("users/all@example.com").await;
    assert_eq!((status, &group["error"]["message"]), (400, &json!("Type not supported: userKey")));
    let (status, nobody) = site.get("users/nobody@example.com").await;
    assert_eq!((status, &nobody["error"]["message"]), (404, &json!("Resource Not Found: userKey")));
}

#[tokio::test]
async fn groups_list_their_direct_members_and_foreign_groups_cannot_be_read() {
    let site = site(READ).await;
    let groups = site.walk("groups?customer=my_customer", "groups").await;
    assert_eq!(column(&groups, "email"), ["all@example.com", "core@example.com", "dev@example.com"]);
    assert_eq!(groups[0]["directMembersCount"], "3");
    let members = site.walk("groups/g1/members?maxResults=1", "members").await;
    assert_eq!(column(&members, "id"), ["u1", "g2", "g9"]);
    assert_eq!(column(&members, "type"), ["USER", "GROUP", "GROUP"]);
    assert_eq!(column(&members, "status"), ["ACTIVE", "ACTIVE", ""]);
    let core = site.walk("groups/core@example.com/members", "members").await;
    assert_eq!(core[0]["email"], "Cyd@Example.com", "the source's letter case is kept");
    let dev = site.walk("groups/DEV@example.com/members", "members").await;
    assert_eq!(column(&dev, "status"), ["ACTIVE", "ACTIVE", ""], "people outside have no status");
    assert_eq!(site.get("groups/g9").await.0, 403);
    assert_eq!(site.get("groups/g9/members").await.0, 403);
    let derived = site.walk("groups/g1/members?includeDerivedMembership=true", "members").await;
    assert_eq!(column(&derived, "id"), ["u1", "u2", "g3", "u3", "g2", "u5", "g9"]);
}

#[tokio::test]
async fn lists_follow_query_fields_and_roles() {
    let site = site(READ).await;
    let (_, page) =
        site.get("users?customer=my_customer&query=email:ada*&fields=nextPageToken,users(id,name/fullName)").await;
    assert_eq!(page, json!({"users": [{"id": "u1", "name": {"fullName": "Ada Lovelace"}}]}));
    let (_, none) = site.get("users?customer=my_customer&query=isSuspended=true").await;
    assert!(none.get("users").is_none(), "an empty collection has no key: {none}");
    assert_eq!(column(&site.walk("groups/g1/members?roles=OWNER", "members").await, "id"), ["u1"]);
    assert_eq!(column(&site.walk("groups?userKey=bob@example.com", "groups").await, "id"), ["g2"]);
    let by_name = site.walk("users?customer=my_customer&orderBy=familyName&sortOrder=DESCENDING&maxResults=2", "users");
    assert_eq!(column(&by_name.await, "id")[..3], ["u1", "u4", "u3"]);
    for (path, status) in [
        ("users", 400),
        ("users?customer=C0other", 400),
        ("users?domain=elsewhere.com", 404),
        ("users?customer=my_customer&maxResults=501", 400),
        ("users?customer=my_customer&query=shoeSize=40", 400),
        ("users?customer=my_customer&fields=users(nonsense)", 400),
        ("users?customer=my_customer&projection=most", 400),
        ("groups?customer=my_customer&userKey=bob@example.com", 400),
        ("groups/g1/members?pageToken=nonsense", 400),
        ("groups/nothing/members", 404),
    ] {
        assert_eq!(site.get(path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_page_token_belongs_to_its_query() {
    let site = site(READ).await;
    let (_, page) = site.get("groups/g1/members?maxResults=1").await;
    let token = page["nextPageToken"].as_str().unwrap();
    assert_eq!(site.get(&format!("groups/g2/members?pageToken={token}")).await.0, 400);
    assert_eq!(site.get(&format!("groups/g1/members?roles=OWNER&pageToken={token}")).await.0, 400);
    assert_eq!(site.get(&format!("groups/g1/members?maxResults=2&pageToken={token}")).await.0, 200);
    site.operate(Method::PUT, "/clock", json!({"advance": 2 * 3_600_000})).await;
    let (status, body) = site.get(&format!("groups/g1/members?maxResults=1&pageToken={token}")).await;
    assert_eq!((status, &body["error"]["errors"][0]["reason"]), (503, &json!("backendError")), "longer than an hour");
}

#[tokio::test]
async fn tokens_end_by_the_virtual_time_when_told_so() {
    let site = site(READ).await;
    site.operate(Method::PUT, "/clock", json!({"advance": 2 * 3_600_000})).await;
    assert_eq!(site.get("groups/g1").await.0, 200, "clients have clocks of their own");
    site.operate(Method::PUT, "/clock", json!({"sign_in": true})).await;
    assert_eq!(site.get("groups/g1").await.0, 401);
    let token = sign_in_again(&site).await;
    let site = crate::support::Site { token, ..site };
    assert_eq!(site.get("groups/g1").await.0, 200);
}

/// A token at the twin's virtual time.
async fn sign_in_again(site: &crate::support::Site) -> String {
    let mut claims = claims(&site.running, "sync@example.com", READ);
    let now = site.running.twin.engine.clock.now() / 1000;
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + 3600);
    let answer = ask_token(&site.client, &site.running, &assertion(&claims, false)).await;
    read(answer).await.1["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn etags_answer_304_and_batches_answer_each_part() {
    let site = site(READ).await;
    let (_, group) = site.get("groups/g1").await;
    let url = format!("{}/admin/directory/v1/groups/g1", site.running.google_url());
    let etag = group["etag"].as_str().unwrap();
    let again = site.client.get(url).bearer_auth(&site.token).header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let body = "--b\r\nContent-Type: application/http\r\nContent-ID: <x + 1>\r\n\r\n\
                GET /admin/directory/v1/groups/g1?fields=id HTTP/1.1\r\nHost: x\r\n\r\n\r\n\
                --b\r\nContent-Type: application/http\r\nContent-ID: <x + 2>\r\n\r\n\
                GET /admin/directory/v1/users/missing HTTP/1.1\r\n\r\n\r\n--b--";
    let request = site.client.post(format!("{}/batch", site.running.google_url())).bearer_auth(&site.token);
    let request = request.header("Content-Type", "multipart/mixed; boundary=\"b\"").body(body);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("Content-ID: <response-x + 1>") && text.contains("{\"id\":\"g1\"}"), "{text}");
    assert!(text.contains("HTTP/1.1 404 Not Found"), "{text}");
}

#[tokio::test]
async fn a_post_may_stand_for_a_long_get() {
    let site = site(READ).await;
    let url = format!("{}/admin/directory/v1/users", site.running.google_url());
    let request = site.client.post(url).bearer_auth(&site.token).header("X-HTTP-Method-Override", "GET");
    let form = [("customer", "my_customer"), ("maxResults", "1")];
    let (status, page) = read(request.form(&form).send().await.unwrap()).await;
    assert_eq!((status, page["users"].as_array().map(Vec::len)), (200, Some(1)));
}

#[tokio::test]
async fn users_and_groups_can_be_written() {
    let site = site(WRITE).await;
    let new = json!({"primaryEmail": "new@example.com", "password": "long enough", "name": {"givenName": "N", "familyName": "W"}});
    let (status, user) = site.write(Method::POST, "users", new.clone()).await;
    assert_eq!((status, &user["primaryEmail"]), (200, &json!("new@example.com")));
    assert!(!user.to_string().contains("long enough"));
    assert_eq!(site.write(Method::POST, "users", new).await.0, 409);
    let id = user["id"].as_str().unwrap();
    let patched = site.write(Method::PATCH, &format!("users/{id}"), json!({"primaryEmail": "newer@example.com"})).await;
    assert_eq!(patched.1["aliases"], json!(["new@example.com"]), "the old address stays as an alias");
    assert_eq!(site.get("users/new@example.com").await.1["id"], id);

    let (status, group) = site.write(Method::POST, "groups", json!({"email": "ops@example.com", "name": "Ops"})).await;
    assert_eq!(status, 200);
    let ops = group["id"].as_str().unwrap();
    let path = format!("groups/{ops}/members");
    assert_eq!(site.write(Method::POST, &path, json!({"email": "newer@example.com"})).await.0, 200);
    assert_eq!(site.write(Method::POST, &path, json!({"email": "newer@example.com"})).await.0, 409);
    assert_eq!(site.write(Method::POST, &path, json!({"email": "stranger@gmail.com", "role": "MANAGER"})).await.0, 200);
    assert_eq!(site.write(Method::POST, &path, json!({"email": "all@example.com"})).await.0, 200);
    let (status, cycle) = site.write(Method::POST, "groups/g3/members", json!({"id": ops})).await;
    assert_eq!((status, &cycle["error"]["errors"][0]["reason"]), (412, &json!("conditionNotMet")));
    assert_eq!(site.get(&format!("groups/{ops}/hasMember/cyd@example.com")).await.1["isMember"], true);

    assert_eq!(site.write(Method::DELETE, &format!("users/{id}"), Value::Null).await.0, 204);
    assert_eq!(column(&site.walk(&path, "members").await, "email"), ["all@example.com", "stranger@gmail.com"]);
    let gone = site.walk("users?customer=my_customer&showDeleted=true", "users").await;
    assert_eq!(column(&gone, "id"), [id]);
    assert_eq!(site.write(Method::POST, &format!("users/{id}/undelete"), json!({"orgUnitPath": "/"})).await.0, 204);
    assert_eq!(site.get(&format!("users/{id}")).await.0, 200);
    assert_eq!(site.write(Method::DELETE, &format!("groups/{ops}"), Value::Null).await.0, 204);
    assert_eq!(site.get(&format!("groups/{ops}")).await.0, 404);
}

#[tokio::test]
async fn tokens_are_given_only_for_what_was_granted() {
    let site = bare(&company()).await;
    let good = claims(&site.running, "sync@example.com", READ);
    let real = "https://oauth2.googleapis.com/token";
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    for (claims, padded, status, error) in [
        (good.clone(), false, 200, ""),
        (with("aud", json!(real)), true, 200, ""),
        (with("aud", json!("https://elsewhere.example/token")), false, 400, "invalid_grant"),
        (with("sub", json!("nobody@example.com")), false, 400, "invalid_grant"),
        (with("iss", json!("other@twin.iam.gserviceaccount.com")), false, 400, "invalid_grant"),
        (
            with("scope", json!(format!("{READ} https://www.googleapis.com/auth/drive"))),
            false,
            401,
            "unauthorized_client",
        ),
        (with("exp", json!(seconds + 7200)), false, 400, "invalid_grant"),
        (with("iat", json!(seconds + 3000)), false, 400, "invalid_grant"),
    ] {
        let (got, body) = read(ask_token(&site.client, &site.running, &assertion(&claims, padded)).await).await;
        assert_eq!((got, body["error"].as_str().unwrap_or("")), (status, error), "{claims}");
    }
    let forged = assertion(&good, false).replacen('.', ".e", 1);
    let (status, _) = read(ask_token(&site.client, &site.running, &forged).await).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_token_opens_only_what_its_scopes_and_its_subject_may() {
    let site = site("https://www.googleapis.com/auth/admin.directory.group.member.readonly").await;
    assert_eq!(site.get("groups/g1/members").await.0, 200);
    let refused = site.send(Method::GET, "users?customer=my_customer", None).await.unwrap();
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let (status, body) = read(refused).await;
    assert_eq!((status, &body["error"]["details"][0]["reason"]), (403, &json!("ACCESS_TOKEN_SCOPE_INSUFFICIENT")));
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    let bob =
        crate::support::Site { token: sign_in(&site.client, &site.running, "bob@example.com", READ).await, ..site };
    assert_eq!(bob.get("users?customer=my_customer").await.0, 403, "not an administrator");
    bob.operate(Method::POST, "/changes", json!({"op": "user_suspended", "id": "bob@example.com"})).await;
    assert_eq!(bob.get("users?customer=my_customer").await.0, 401, "no longer active");
    let nobody = crate::support::Site { token: "ya29.none".to_owned(), ..bob };
    let (status, body) = nobody.get("users?customer=my_customer").await;
    assert_eq!((status, &body["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
}

#[tokio::test]
async fn a_web_client_refreshes_and_exchanges_codes() {
    let site = bare(&company()).await;
    let grant = json!({"subject": "sync@example.com", "scopes": READ.split_whitespace().collect::<Vec<_>>()});
    let client =
        json!({"client_id": "web", "client_secret": "s", "refresh_tokens": {"1//r": grant}, "codes": {"4/c": grant}});
    site.operate(Method::POST, "/credentials", json!({"oauth_clients": {"web": client}})).await;
    let url = format!("{}/token", site.running.google_url());
    let ask = |form: Vec<(&'static str, &'static str)>| {
        let request = site.client.post(&url).form(&form);
        async move { read(request.send().await.unwrap()).await }
    };
    let client = [("client_id", "web"), ("client_secret", "s")];
    let refresh = |token| [vec![("grant_type", "refresh_token"), ("refresh_token", token)], client.to_vec()].concat();
    let (status, body) = ask(refresh("1//r")).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")));
    assert_eq!(ask(refresh("1//other")).await.1["error"], "invalid_grant");
    let code = [vec![("grant_type", "authorization_code"), ("code", "4/c")], client.to_vec()].concat();
    assert!(ask(code.clone()).await.1["refresh_token"].is_string());
    assert_eq!(ask(code).await.0, 400, "a code is good once");
}
