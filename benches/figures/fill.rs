//! A database with many deployments.

use std::path::Path;

use slipway::bus::Bus;
use slipway::domain::clock::{Clock as _, SystemClock};
use slipway::store::{Mode, Store};

/// Fills a stopped instance's database with `count` deployments of one project on `local`.
pub async fn fill(dir: &Path, count: usize) {
    let store = Store::open(dir, Bus::new(), Mode::Beside).unwrap();
    store
        .write(move |tx| {
            let now = SystemClock.now();
            let project = slipway::domain::project::Project {
                key: slipway::domain::name::ProjectKey::parse("many")?,
                description: String::new(),
                tags: Vec::new(),
                created_at: now,
                created_by: "bench".into(),
                updated_at: now,
                revision: 1,
            };
            slipway::store::project::insert(tx, &project)?;
            let bundle = bundle(&project.key, now)?;
            slipway::store::bundle::insert(tx, &bundle)?;
            let group = slipway::domain::name::GroupName::parse("team")?;
            let right = slipway::domain::access::ProjectRight::Deploy;
            slipway::store::project::grant(tx, &project.key, &group, Some(right))?;
            for number in 0..count {
                slipway::store::deployment::insert(tx, &deployment(&bundle, number, now)?, &bundle.digest)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    store
        .observe(move |tx| {
            let state = slipway::store::deployment::list::State {
                health: slipway::domain::health::Health::Healthy,
                sync: slipway::domain::health::Sync::InSync,
                ready: 1,
                wanted: 1,
                ..slipway::store::deployment::list::State::unknown()
            };
            for number in 0..count {
                let id = slipway::domain::name::DeploymentId::parse(format!("many-{number:06}"))?;
                slipway::store::observation::put_state(tx, &id, &state, SystemClock.now())?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

fn bundle(
    project: &slipway::domain::name::ProjectKey,
    now: slipway::domain::clock::Timestamp,
) -> slipway::domain::Result<slipway::domain::bundle::Bundle> {
    use slipway::domain::bundle::{Bundle, Digest, Manifest};
    use slipway::domain::workload::{Image, Service, Workload};
    let mut workload = Workload::default();
    let service = Service::new(Image::Reference("busybox:lab".into()));
    workload.services.insert(slipway::domain::name::ServiceName::parse("app")?, service);
    Ok(Bundle {
        project: project.clone(),
        version: slipway::domain::name::Version::parse("1.0.0")?,
        digest: Digest::of(b"many"),
        size: 4,
        manifest: Manifest { name: None, version: None, workload, made_of: None, warnings: Vec::new() },
        files: Vec::new(),
        uploader: "bench".into(),
        created_at: now,
    })
}

fn deployment(
    bundle: &slipway::domain::bundle::Bundle,
    number: usize,
    now: slipway::domain::clock::Timestamp,
) -> slipway::domain::Result<slipway::domain::deployment::Deployment> {
    Ok(slipway::domain::deployment::Deployment {
        id: slipway::domain::name::DeploymentId::parse(format!("many-{number:06}"))?,
        source: slipway::domain::deployment::Source::Bundle,
        removal: None,
        uuid: slipway::domain::random::uuid(),
        project: bundle.project.clone(),
        infrastructure: slipway::domain::name::InfrastructureId::parse("local")?,
        version: bundle.version.clone(),
        enabled: true,
        settings: slipway::domain::deployment::Settings::default(),
        auto_repair: false,
        folder: String::new(),
        deployed_project: None,
        created_at: now,
        created_by: "bench".into(),
        updated_at: now,
        revision: 1,
        last_update: 0,
        running_update: None,
    })
}
