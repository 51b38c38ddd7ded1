//! One list of each kind, and one watch from there on, for the whole namespace.
//!
//! A watch that the server ends is taken up where it stood; one that it can't take up (410) ends everything: the caller
//! takes a new snapshot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll, StreamExt as _, unfold};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use kube::api::{WatchEvent, WatchParams};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use super::apply::Object;
use super::names::{self, Map};
use super::view::{Change, View};
use super::{Core, error};
use crate::engine::{Cursor, EngineError, EngineEvent, EngineResult, Snapshot, label};

/// How long a watch can begin at a place in the past.
const KEPT: Duration = Duration::from_secs(60);
/// How often replicas that may become unhealthy by the passing of time alone are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Warnings that a watch begins with.
const WARNINGS: u32 = 500;
/// A watch that ends at once is not taken up faster than this.
const PAUSE: Duration = Duration::from_millis(200);

/// What was listed, and the versions of the lists.
#[derive(Clone)]
struct Place {
    name: String,
    at: Instant,
    view: View,
    pods: String,
    deployments: String,
    jobs: String,
    services: String,
    ingresses: String,
    scalers: String,
    warnings: String,
}

/// The last places.
#[derive(Default)]
pub(super) struct Places(Mutex<VecDeque<Place>>);

impl Places {
    fn keep(&self, place: Place) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|known| known.at.elapsed() < KEPT);
        places.push_back(place);
    }

    fn take(&self, name: &str) -> Option<Place> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().find(|place| place.name == name).cloned()
    }
}

type Changes = BoxStream<'static, EngineResult<Change>>;

impl Core {
    fn ours(&self) -> Map {
        Map::from([(label::INSTANCE.to_owned(), names::value(&self.instance))])
    }

    pub(super) async fn take_snapshot(&self) -> EngineResult<Snapshot> {
        let labels = self.ours();
        // Pods come last: what their Deployments and Jobs say of them is there already.
        let (scalers, scalers_at) = self.scalers().await?;
        let (deployments, deployments_at) = self.list::<Deployment>(&labels).await?;
        let (jobs, jobs_at) = self.list::<Job>(&labels).await?;
        let (services, services_at) = self.list::<Service>(&labels).await?;
        let (ingresses, ingresses_at) = self.list::<Ingress>(&labels).await?;
        let (pods, pods_at) = self.list::<Pod>(&labels).await?;
        let (warnings, warnings_at) = self.warnings().await?;
        let mut view = View::new(&self.instance, scalers);
        deployments.into_iter().for_each(|one| drop(view.take(Change::Deployment(Box::new(one), false))));
        jobs.into_iter().for_each(|one| drop(view.take(Change::Job(Box::new(one), false))));
        services.into_iter().for_each(|one| drop(view.take(Change::Service(Box::new(one), false))));
        ingresses.into_iter().for_each(|one| drop(view.take(Change::Ingress(Box::new(one), false))));
        pods.into_iter().for_each(|one| drop(view.take(Change::Pod(Box::new(one), false))));
        warnings.into_iter().for_each(|one| drop(view.take(Change::Warning(Box::new(one)))));
        let (slots, objects) = view.all(self.clock.now());
        let place = Place {
            name: crate::domain::random::uuid().to_string(),
            at: Instant::now(),
            view,
            pods: pods_at,
            deployments: deployments_at,
            jobs: jobs_at,
            services: services_at,
            ingresses: ingresses_at,
            scalers: scalers_at,
            warnings: warnings_at,
        };
        let cursor = Cursor(place.name.clone());
        self.places.keep(place);
        Ok(Snapshot { slots, objects, cursor })
    }

    /// The newest warnings. They are words, not facts: without the right to read them there are none.
    async fn warnings(&self) -> EngineResult<(Vec<Event>, String)> {
        let api = self.objects::<Event>().await?;
        let parameters = kube::api::ListParams::default().fields(WARNING_FIELDS).limit(WARNINGS);
        match self.client.call("the list of events", || api.list(&parameters)).await {
            Ok(list) => Ok((list.items, list.metadata.resource_version.unwrap_or_default())),
            Err(EngineError::Refused(_)) => Ok((Vec::new(), String::new())),
            Err(other) => Err(other),
        }
    }

    pub(super) async fn watch_from(
        self: &Arc<Self>,
        cursor: &Cursor,
    ) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        let Some(place) = self.places.take(&cursor.0) else {
            return Err(EngineError::Unreachable(
                "that place in its events was forgotten; take a new snapshot".into(),
            ));
        };
        let labels = names::selector(&self.ours());
        let labelled = WatchParams::default().labels(&labels);
        let mut changes: SelectAll<Changes> = SelectAll::new();
        changes.push(self.follow(labelled.clone(), place.deployments, |object, gone| {
            Change::Deployment(Box::new(object), gone)
        }));
        changes.push(
            self.follow(labelled.clone(), place.jobs, |object, gone| Change::Job(Box::new(object), gone)),
        );
        changes.push(self.follow(labelled.clone(), place.services, |object, gone| {
            Change::Service(Box::new(object), gone)
        }));
        changes.push(self.follow(labelled.clone(), place.ingresses, |object, gone| {
            Change::Ingress(Box::new(object), gone)
        }));
        changes.push(self.follow(labelled, place.pods, |object, gone| Change::Pod(Box::new(object), gone)));
        if !place.scalers.is_empty() {
            changes.push(self.follow(WatchParams::default(), place.scalers, |object, gone| {
                Change::Scaler(Box::new(object), gone)
            }));
        }
        if !place.warnings.is_empty() {
            let warnings = WatchParams::default().fields(WARNING_FIELDS);
            changes
                .push(self.follow(warnings, place.warnings, |object, _| Change::Warning(Box::new(object))));
        }
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let state =
            Following { core: Arc::clone(self), view: place.view, changes, tick, ready: VecDeque::new() };
        Ok(unfold(Some(state), |state| async move { state?.next().await }).boxed())
    }

    /// The changes of one kind from a version on.
    fn follow<K: Object + 'static>(
        self: &Arc<Self>,
        parameters: WatchParams,
        from: String,
        wrap: fn(K, bool) -> Change,
    ) -> Changes {
        let watching = Watching { core: Arc::clone(self), parameters, at: from, stream: None, wrap };
        unfold(Some(watching), |watching| async move { watching?.next().await }).boxed()
    }
}

/// Warnings: which kinds are ours to hear can't be asked for.
const WARNING_FIELDS: &str = "type=Warning";

/// One kind's watch, taken up again wherever it ends.
struct Watching<K> {
    core: Arc<Core>,
    parameters: WatchParams,
    at: String,
    stream: Option<Events<K>>,
    wrap: fn(K, bool) -> Change,
}

type Events<K> = BoxStream<'static, Result<WatchEvent<K>, kube::Error>>;

impl<K: Object + 'static> Watching<K> {
    async fn next(mut self) -> Option<(EngineResult<Change>, Option<Self>)> {
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => {
                    let begun = begin(Arc::clone(&self.core), self.parameters.clone(), self.at.clone()).await;
                    match begun {
                        Ok(stream) => stream,
                        Err(failed) => return Some((Err(failed), None)),
                    }
                }
            };
            let event = stream.next().await;
            self.stream = Some(stream);
            match event {
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    return Some(self.changed(object, false));
                }
                Some(Ok(WatchEvent::Deleted(object))) => return Some(self.changed(object, true)),
                Some(Ok(WatchEvent::Bookmark(mark))) => self.at = mark.metadata.resource_version,
                Some(Ok(WatchEvent::Error(status))) => {
                    let lost = EngineError::Unreachable(format!("events were lost: {}", status.message));
                    return Some((Err(lost), None));
                }
                Some(Err(failed)) => return Some((Err(error::refused("watching", failed)), None)),
                None => {
                    self.stream = None;
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn changed(mut self, object: K, gone: bool) -> (EngineResult<Change>, Option<Self>) {
        if let Some(version) = object.resource_version() {
            self.at = version;
        }
        (Ok((self.wrap)(object, gone)), Some(self))
    }
}

async fn begin<K: Object + 'static>(
    core: Arc<Core>,
    parameters: WatchParams,
    at: String,
) -> EngineResult<Events<K>> {
    let api = core.objects::<K>().await?;
    let what = format!("watching {}", K::plural(&()));
    let stream = core.client.call(&what, || api.watch(&parameters, &at)).await?;
    Ok(stream.boxed())
}

/// All kinds together, as events of replicas.
struct Following {
    core: Arc<Core>,
    view: View,
    changes: SelectAll<Changes>,
    tick: Interval,
    ready: VecDeque<EngineEvent>,
}

impl Following {
    async fn next(mut self) -> Option<(EngineResult<EngineEvent>, Option<Self>)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), Some(self)));
            }
            tokio::select! {
                change = self.changes.next() => match change {
                    Some(Ok(change)) => {
                        if let Some(key) = self.view.take(change) {
                            self.ready.extend(self.view.tell(&key, self.core.clock.now()));
                        }
                    }
                    Some(Err(failed)) => return Some((Err(failed), None)),
                    None => return None,
                },
                _ = self.tick.tick() => {
                    for key in self.view.ticking() {
                        self.ready.extend(self.view.tell(&key, self.core.clock.now()));
                    }
                }
            }
        }
    }
}
