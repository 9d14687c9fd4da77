use tokio_postgres::error::SqlState;

use crate::world::World;

/// What each role may do, all of it. Whoever adds a table adds a line.
const EXPECTED: &[(&str, &str, &str)] = &[
    // role, schema or table, privileges (S select, I insert, U update, D delete)
    ("watcher", "directory.*", "SIUD"),
    ("watcher", "plan.need", "S"),
    ("watcher", "plan.progress", "S"),
    ("watcher", "plan.pin", "S"),
    ("watcher", "plan.policy", "S"),
    ("reconciler", "directory.*", "S"),
    ("reconciler", "plan.*", "SIUD"),
    ("reconciler", "directory.wish", "SI"),
    ("reconciler", "effect.*", "S"),
    ("reconciler", "console.*", "S"),
    ("reconciler", "common.audit", "S"),
    ("reconciler", "common.audit_head", "S"),
    ("writer", "plan.command", "S"),
    ("writer", "plan.generation", "S"),
    ("writer", "plan.moot_letter", "S"),
    ("writer", "plan.policy", "S"),
    ("writer", "effect.*", "SIUD"),
    ("writer", "console.letter_verdict", "S"),
    ("writer", "console.pause", "S"),
    ("console", "directory.*", "S"),
    ("console", "directory.wish", "SI"),
    ("console", "plan.*", "S"),
    ("console", "effect.*", "S"),
    ("console", "console.*", "SI"),
    ("console", "common.audit", "S"),
    ("console", "common.audit_head", "S"),
    ("*", "common.lease", "SIU"),
    ("*", "common.stamp", "S"),
];

fn expected(role: &str, table: &str) -> String {
    let schema = table.split('.').next().unwrap();
    let wild = format!("{schema}.*");
    let mut found = String::new();
    for (who, what, privileges) in EXPECTED {
        if (*who == role || *who == "*") && (*what == table || *what == wild) {
            (*privileges).clone_into(&mut found);
        }
    }
    found
}

#[tokio::test]
async fn every_role_has_its_grants_and_no_others() {
    let world = World::start().await;
    let rows = world
        .owner
        .query(
            "select r.role, n.nspname || '.' || c.relname,
                    has_table_privilege(r.role, c.oid, 'select'), has_table_privilege(r.role, c.oid, 'insert'),
                    has_table_privilege(r.role, c.oid, 'update'), has_table_privilege(r.role, c.oid, 'delete'),
                    has_table_privilege(r.role, c.oid, 'truncate')
               from pg_class c join pg_namespace n on n.oid = c.relnamespace,
                    unnest(array['rollcall_watcher', 'rollcall_reconciler', 'rollcall_writer', 'rollcall_console'])
                        as r (role)
              where n.nspname in ('common', 'directory', 'plan', 'effect', 'console') and c.relkind in ('r', 'v')",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() > 120);
    for row in rows {
        let (role, table): (String, String) = (row.get(0), row.get(1));
        let held: String =
            "SIUD".chars().enumerate().filter(|(n, _)| row.get::<_, bool>(n + 2)).map(|(_, letter)| letter).collect();
        let role = role.strip_prefix("rollcall_").unwrap();
        assert_eq!(held, expected(role, &table), "{role} on {table}");
        assert!(!row.get::<_, bool>(6), "{role} may truncate {table}");
    }
}

#[tokio::test]
async fn i09_no_service_changes_or_forges_the_audit_chain() {
    let world = World::start().await;
    for role in ["watcher", "reconciler", "writer", "console"] {
        let client = world.postgres.connect("rollcall_test").await.unwrap();
        client.batch_execute(&format!("set role rollcall_{role}")).await.unwrap();
        for statement in [
            "update common.audit set actor = 'x'",
            "delete from common.audit",
            "truncate common.audit",
            "insert into common.audit select * from common.audit",
            "update common.audit_head set seq = 0",
        ] {
            let error = client.batch_execute(statement).await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role}: {statement}");
        }
        client
            .batch_execute("select common.append_audit('acme', '{1}', '{a}', '{v}', '{k}', '{\"\"}', '{\"\"}', '{c}')")
            .await
            .unwrap();
    }
    assert_eq!(world.count("select count(*) from common.audit").await, 4);
}
