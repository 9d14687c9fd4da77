//! Reads the whole file: syntax, sections, checks, and then the policy.

use std::collections::BTreeMap;

use model::{Digest, TenantId};
use toml::de::DeTable;

use super::{
    capable, checks, claims,
    context::{Context, Said},
    directory, guard, people,
    section::{ROOT, Section},
    sync,
    value::{report_name, within},
};
use crate::{Cron, Diagnostics, Policy, Schedule, Who, diagnostic::Code};

/// Syntax errors beyond this many are consequences of the first ones.
const MOST_SYNTAX_ERRORS: usize = 20;

/// Reads a policy file. `whole`: without a rule it would stop everything, and is refused.
pub(crate) fn policy(text: &str, whole: bool) -> Result<Policy, Diagnostics> {
    let mut ctx = Context::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        report_syntax_errors(&mut ctx, &errors);
        return Err(ctx.into_diagnostics());
    }
    let root = Section::new(document.get_ref(), 0..0, ROOT);
    let written = Written {
        tenant: tenant(&mut ctx, &root),
        directories: directory::directories(&mut ctx, &root),
        people: people::people(&mut ctx, &root),
        rules: sync::rules(&mut ctx, &root),
        guard: guard::guard(&mut ctx, &root),
        approval: guard::approval(&mut ctx, &root),
        schedule: schedule(&mut ctx, &root),
        adopt: checks::adoptions(&mut ctx, &root),
    };
    root.finish(&mut ctx);
    if whole {
        checks::something_to_do(&mut ctx, &written.directories, &written.rules, &written.people.1);
    }
    let policy = written.check(&mut ctx, Digest::of(text.as_bytes()));
    match policy {
        Some(policy) if ctx.is_clean() => Ok(policy),
        _ => Err(ctx.into_diagnostics()),
    }
}

/// Reports a file that is not TOML.
pub(crate) fn report_syntax_errors(ctx: &mut Context<'_>, errors: &[toml::de::Error]) {
    for error in errors.iter().take(MOST_SYNTAX_ERRORS) {
        let span = error.span().unwrap_or(0..0);
        ctx.report_syntax(&span, format!("not TOML: {}", error.message()), syntax_help(error.message()));
    }
}

/// The remedy for what the TOML parser says.
fn syntax_help(message: &str) -> &'static str {
    if message.contains("must be quoted") {
        "write text in quotes: key = \"text\""
    } else if message.contains("duplicate key") {
        "keep one of the two"
    } else {
        "see https://toml.io for how it is written; in \"…\" a backslash needs a second one, in '…' it does not"
    }
}

struct Written {
    tenant: Option<TenantId>,
    directories: Vec<directory::Declared>,
    people: (crate::People, Vec<people::WrittenProvision>, Option<Said<()>>),
    rules: Vec<sync::WrittenRule>,
    guard: crate::Guard,
    approval: crate::Approval,
    schedule: Schedule,
    adopt: Vec<checks::WrittenAdoption>,
}

impl Written {
    /// Checks what the sections say of each other and completes the policy.
    fn check(self, ctx: &mut Context<'_>, hash: Digest) -> Option<Policy> {
        let (people, provisions, username) = self.people;
        let views = checks::views(ctx, &self.directories);
        let known = checks::Known::new(&self.directories, &views);
        let (provision_ids, rule_ids) = checks::rule_ids(ctx, &provisions, &self.rules);
        let of_members = |entry: &people::WrittenProvision| (entry.who == Who::Members).then(|| entry.who_span.clone());
        let of_members: Vec<_> = provisions.iter().map(of_members).collect();
        let headers: Vec<_> = provisions.iter().map(|entry| entry.span.clone()).collect();
        let (provisions, defaults) = checks::provisions(ctx, &known, &people, provisions, provision_ids);
        capable::user_names(ctx, username.as_ref(), provisions.as_deref(), |id| known.kind(id));
        let rules = checks::rules(ctx, &known, &people, &self.guard, self.rules, rule_ids);
        checks::reached(ctx, provisions.as_deref(), &headers);
        checks::members_of_something(ctx, provisions.as_deref(), &rules, &of_members);
        claims::check(ctx, &known, &rules, &self.guard);
        claims::check_defaults(ctx, &known, &rules, &defaults, &self.guard);
        let adopt = checks::adopted(ctx, &known, self.adopt);
        let mut directories = BTreeMap::new();
        for declared in self.directories {
            let mut directory = declared.written?.directory;
            directory.view_of = views.get(&declared.id).cloned();
            directories.insert(declared.id, directory);
        }
        Some(Policy {
            tenant: self.tenant?,
            hash,
            directories,
            people,
            provisions: provisions?,
            rules: rules.into_iter().map(|checked| checked.rule).collect::<Option<_>>()?,
            guard: self.guard,
            approval: self.approval,
            schedule: self.schedule,
            adopt,
            notes: ctx.take_notes(),
        })
    }
}

fn tenant(ctx: &mut Context<'_>, root: &Section<'_>) -> Option<TenantId> {
    let text = root.need_text(ctx, "tenant", "add tenant = \"<name>\" at the top of the file")?;
    let tenant = TenantId::new(&text.value).ok();
    if tenant.is_none() {
        report_name(ctx, "a tenant", &text.value, &text.span);
    }
    tenant
}

fn schedule(ctx: &mut Context<'_>, root: &Section<'_>) -> Schedule {
    #[derive(Clone, Copy, PartialEq)]
    enum Mode {
        Continuous,
        Cron,
        Manual,
    }
    let Some(section) = root.table(ctx, "schedule") else { return Schedule::default() };
    let words = [("continuous", Mode::Continuous), ("cron", Mode::Cron), ("manual", Mode::Manual)];
    let mode = section.choice(ctx, "mode", &words);
    let cron = section.text(ctx, "cron");
    let cron_span = section.key_span("cron");
    let section_span = section.span.clone();
    section.finish(ctx);
    match (mode, cron) {
        (None | Some(Mode::Cron), Some(text)) => read_cron(ctx, &text),
        (Some(Mode::Cron), None) => {
            let help = "add cron = \"0 2 * * *\": minute hour day month weekday, UTC";
            ctx.report(Code::MissingKey, &section_span, "[schedule] has no `cron`", help);
            Schedule::Manual
        }
        (Some(_), Some(_)) => {
            let help = "remove `mode` to run at the times of `cron`, or remove `cron`";
            ctx.report(Code::Conflicting, &cron_span, "`cron` and this `mode` exclude each other", help);
            Schedule::Manual
        }
        (Some(Mode::Manual), None) => Schedule::Manual,
        (Some(Mode::Continuous) | None, None) => Schedule::Continuous,
    }
}

fn read_cron(ctx: &mut Context<'_>, text: &Said<String>) -> Schedule {
    match Cron::new(&text.value) {
        Ok(cron) => Schedule::Cron(cron),
        Err(error) => {
            let help = "write minute hour day month weekday in UTC, such as \"0 2 * * *\" for two in the night";
            let span = within(ctx, text, error.offset);
            ctx.report(Code::BadSchedule, &span, error.message, help);
            Schedule::Manual
        }
    }
}
