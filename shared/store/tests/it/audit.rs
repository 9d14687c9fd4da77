use model::Time;
use store::audit::{AuditEntry, ChainState};

use crate::world::{World, tenant};

fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: Time(n),
        actor: "writer".to_owned(),
        verb: "member.add".to_owned(),
        key: format!("cloud/g/{n}"),
        before: vec![],
        after: vec![1, 2],
        cause: "command".to_owned(),
    }
}

#[tokio::test]
async fn i09_whatever_is_changed_in_the_chain_is_found() {
    let world = World::start().await;
    let tasks: Vec<_> = (0..4_i64)
        .map(|task| {
            let store = world.writer.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    store.append_audit(&tenant(), &[entry(task * 100 + n), entry(task * 100 + 50 + n)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let verify = async || world.console.verify_audit(&tenant()).await.unwrap();
    assert_eq!(verify().await, ChainState::Whole { entries: 40 });
    let page = world.console.audit_page(&tenant(), Some(11), 3).await.unwrap();
    assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<_>>(), [10, 9, 8]);
    let head = world.console.audit_head(&tenant()).await.unwrap().unwrap();
    assert_eq!(head.0, 40);

    // The owner of the database can change rows, and is found out each time.
    for (damage, repair, seq) in [
        (
            "update common.audit set key = key || 'x' where seq = 7",
            "update common.audit set key = rtrim(key, 'x') where seq = 7",
            7,
        ),
        (
            "update common.audit set after = 'abc' where seq = 40",
            "update common.audit set after = '\\x0102' where seq = 40",
            40,
        ),
    ] {
        assert_eq!(world.owner.execute(damage, &[]).await.unwrap(), 1);
        assert_eq!(verify().await, ChainState::Broken { seq });
        world.owner.execute(repair, &[]).await.unwrap();
        assert_eq!(verify().await, ChainState::Whole { entries: 40 });
    }
    world.owner.execute("delete from common.audit where seq = 40", &[]).await.unwrap();
    assert_eq!(verify().await, ChainState::Broken { seq: 40 }, "a chain that lost its end is broken too");
    world.owner.execute("delete from common.audit where seq = 12", &[]).await.unwrap();
    assert_eq!(verify().await, ChainState::Broken { seq: 12 });
}
