//! Reads `[directory.<name>]`.

use model::{DirectoryId, DirectoryKind, Email, Span};

use super::{
    address::Shape,
    context::{Context, Said},
    section::{Section, table_of},
    value::report_name,
};
use crate::{Customers, Directory, GoogleAuth, Push, Settings, diagnostic::Code};

/// One directory as it is written; a view still names its organization.
pub(crate) struct Written {
    pub(crate) directory: Directory,
    pub(crate) org: Option<Said<DirectoryId>>,
}

/// What is known about a directory even when the rest of it is wrong, so that rules that name it are still checked.
pub(crate) struct Declared {
    pub(crate) id: DirectoryId,
    pub(crate) kind: Option<DirectoryKind>,
    /// `None` when something in it is wrong.
    pub(crate) written: Option<Written>,
}

/// Reads all of `[directory]`.
pub(crate) fn directories(ctx: &mut Context<'_>, root: &Section<'_>) -> Vec<Declared> {
    let Some(all) = root.table(ctx, "directory") else { return Vec::new() };
    let mut declared = Vec::new();
    for (name, value) in all.entries() {
        let Ok(id) = DirectoryId::new(&name.value) else {
            report_name(ctx, "a directory", &name.value, &name.span);
            continue;
        };
        let Some(section) = table_of(ctx, &name.value, value, format!("[directory.{id}]")) else { continue };
        declared.push(directory(ctx, id, section));
    }
    declared
}

fn directory(ctx: &mut Context<'_>, id: DirectoryId, section: Section<'_>) -> Declared {
    let kinds = DirectoryKind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = section
        .need_text(ctx, "kind", "add kind = \"google-workspace\", \"atlassian-org\" or another")
        .and_then(|text| super::section::choice_of(ctx, "kind", &text, &kinds));
    // Without a kind nobody knows which keys belong here.
    let Some(kind) = kind else { return Declared { id, kind, written: None } };
    let settings = settings(ctx, &section, kind);
    let inbound = kind == DirectoryKind::ScimInbound;
    let common = if inbound { Common::default() } else { common(ctx, &section) };
    let is_site = matches!(kind, DirectoryKind::JiraCloud | DirectoryKind::ConfluenceCloud);
    let org = if is_site && section.has("org") { section.directory(ctx, "org") } else { None };
    section.finish(ctx);
    let written = settings.map(|settings| Written {
        directory: Directory {
            id: id.clone(),
            kind,
            view_of: None,
            owner: common.owner,
            endpoint: common.endpoint,
            lag: common.lag.unwrap_or(Span::from_secs(60)),
            sweep_every: common.sweep_every.unwrap_or(Span::from_secs(6 * 60 * 60)),
            settings,
        },
        org,
    });
    Declared { id, kind: Some(kind), written }
}

/// Keys of every directory that is called.
#[derive(Default)]
struct Common {
    owner: Option<Email>,
    endpoint: Option<String>,
    lag: Option<Span>,
    sweep_every: Option<Span>,
}

fn common(ctx: &mut Context<'_>, section: &Section<'_>) -> Common {
    Common {
        owner: section.email(ctx, "owner"),
        endpoint: section.address(ctx, "endpoint", Shape::Origin),
        lag: section.duration(ctx, "lag", Span::ZERO),
        sweep_every: section.duration(ctx, "sweep_every", Span::from_secs(1)),
    }
}

fn settings(ctx: &mut Context<'_>, section: &Section<'_>, kind: DirectoryKind) -> Option<Settings> {
    use DirectoryKind as Kind;
    match kind {
        Kind::GoogleWorkspace => google(ctx, section),
        Kind::ScimInbound => Some(Settings::ScimInbound { token: section.secret(ctx, "token")? }),
        Kind::AtlassianOrg => {
            let org = section.need_text(ctx, "org", "add the organization's id, from admin.atlassian.com/o/<id>");
            let directory = section.need_text(ctx, "directory", "add the id of the directory in the organization");
            let api_key = section.secret(ctx, "api_key");
            Some(Settings::Org { org: org?.value, directory: directory?.value, api_key: api_key? })
        }
        Kind::AtlassianScim => {
            let id = section.need_text(ctx, "directory_id", "add the id of the provisioning directory");
            let token = section.secret(ctx, "token");
            Some(Settings::Scim { directory_id: id?.value, token: token? })
        }
        Kind::JiraCloud | Kind::ConfluenceCloud | Kind::JsmCustomers => site(ctx, section, kind),
        Kind::JiraDc | Kind::ConfluenceDc | Kind::BitbucketDc => {
            let url = section.need_address(ctx, "url", Shape::Path, "add the address of the instance");
            let token = section.secret(ctx, "token");
            let user_directory = user_directory(ctx, section, kind);
            Some(Settings::DataCenter { url: url?, token: token?, user_directory })
        }
        Kind::Crowd => {
            let url = section.need_address(ctx, "url", Shape::Path, "add the address of the server");
            let application = section.need_text(ctx, "application", "add the name of the application in Crowd");
            let password = section.secret(ctx, "password");
            Some(Settings::Crowd { url: url?, application: application?.value, password: password? })
        }
    }
}

/// Writes go to the first directory of an instance that may be written, and no call chooses another
/// (reference/atlassian-dc.md §1.3): whoever names one is told so, and whoever makes accounts there is refused
/// ([`super::capable`]). Only Bitbucket lists its directories, so that it can be looked up whether it is the one that is
/// named: `doctor` does, and so does whoever makes the first account.
fn user_directory(ctx: &mut Context<'_>, section: &Section<'_>, kind: DirectoryKind) -> Option<String> {
    let named = section.text(ctx, "user_directory")?.value;
    if kind != DirectoryKind::BitbucketDc {
        let message = "`user_directory` has no effect: no call of this product chooses among its user directories";
        let help = "have the instance's administrators put that directory first; or name the Crowd that the directory comes \
                    from as a directory of its own, kind = \"crowd\"";
        ctx.note(&section.key_span("user_directory"), message, help);
    }
    Some(named)
}

fn google(ctx: &mut Context<'_>, section: &Section<'_>) -> Option<Settings> {
    let customer = section.text(ctx, "customer").map_or_else(|| "my_customer".to_owned(), |text| text.value);
    let auth = google_auth(ctx, section);
    let audit_poll = section.duration(ctx, "audit_poll", Span::from_secs(1)).unwrap_or(Span::from_secs(60));
    for key in ["audit_poll", "push"].into_iter().filter(|key| section.has(key)) {
        let message = format!("`{key}` is not in effect yet");
        ctx.note(
            &section.key_span(key),
            message,
            "every change is found by the next sweep: `sweep_every` says how often",
        );
    }
    let push = match section.table(ctx, "push") {
        Some(table) => {
            let url =
                table.need_address(ctx, "public_url", Shape::Public, "add the address at which Google reaches us");
            let token = table.secret(ctx, "channel_token");
            table.finish(ctx);
            url.zip(token).map(|(public_url, channel_token)| Push { public_url, channel_token })
        }
        None => None,
    };
    Some(Settings::Google { customer, auth: auth?, audit_poll, push })
}

fn google_auth(ctx: &mut Context<'_>, section: &Section<'_>) -> Option<GoogleAuth> {
    if section.has("oauth") {
        if section.has("service_account") {
            let message = "`oauth` and `service_account` exclude each other";
            let help = "keep the one that says who we are at Google";
            ctx.report(Code::Conflicting, &section.key_span("oauth"), message, help);
            section.get("subject");
            return None;
        }
        // A subject may be left over from a service account.
        if section.email(ctx, "subject").is_some() {
            let message = "`subject` has no effect beside `oauth`: whoever granted the refresh token is who reads";
            ctx.note(&section.key_span("subject"), message, "remove it");
        }
        let table = section.table(ctx, "oauth")?;
        let client_id = table.need_text(ctx, "client_id", "add the id of the OAuth web client");
        let client_secret = table.secret(ctx, "client_secret");
        let refresh_token = table.secret(ctx, "refresh_token");
        table.finish(ctx);
        return Some(GoogleAuth::OAuth {
            client_id: client_id?.value,
            client_secret: client_secret?,
            refresh_token: refresh_token?,
        });
    }
    let key = section.secret(ctx, "service_account");
    let subject = section.need_email(ctx, "subject", "add the address of the administrator in whose name we read");
    Some(GoogleAuth::ServiceAccount { key: key?, subject: subject? })
}

fn site(ctx: &mut Context<'_>, section: &Section<'_>, kind: DirectoryKind) -> Option<Settings> {
    let site = section.need_address(ctx, "site", Shape::Origin, "add site = \"https://<name>.atlassian.net\"");
    let email = section.need_email(ctx, "email", "add the address of the account that the token belongs to");
    let api_token = section.secret(ctx, "api_token");
    let customers = if kind == DirectoryKind::JsmCustomers { customers(ctx, section) } else { None };
    let (site, email, api_token) = (site?, email?, api_token?);
    match kind {
        DirectoryKind::JiraCloud => Some(Settings::Jira { site, email, api_token }),
        DirectoryKind::ConfluenceCloud => Some(Settings::Confluence { site, email, api_token }),
        _ => Some(Settings::Jsm { site, email, api_token, customers: customers? }),
    }
}

fn customers(ctx: &mut Context<'_>, section: &Section<'_>) -> Option<Customers> {
    if section.has("customer_organization") {
        let desk = section.text(ctx, "desk").map(|text| text.value);
        let name = section.text(ctx, "customer_organization")?;
        if desk.is_none() {
            let message =
                "an organization of customers opens the portals of the desks that it is attached to, and no other";
            let help = "add desk = \"<project key>\" to have it attached, or attach it by hand";
            ctx.note(&name.span, message, help);
        }
        return Some(Customers::Organization { name: name.value, desk });
    }
    let help = "add desk = \"<project key>\", or customer_organization = \"<name>\"";
    section.need_text(ctx, "desk", help).map(|text| Customers::Desk(text.value))
}
