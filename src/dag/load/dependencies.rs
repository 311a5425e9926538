//! Which task waits for which, out of `after` and `order`.

use super::super::check::too_many_dependencies;
use super::super::diagnostic::{Diagnostic, quote};
use super::super::draft::{Dependency, Draft};
use super::super::json::Item;
use super::super::report::At;
use super::super::{DEPENDENCIES_MAX, TaskIndex, order, suggest};
use super::Reader;
use super::item::{member, text_of};

impl Reader<'_, '_> {
    pub(super) fn dependencies(
        &mut self,
        tasks: Item<'_>,
        order: Option<Item<'_>>,
        draft: &mut Draft,
    ) {
        let names = draft.tasks.iter().enumerate();
        let mut by_id: Vec<(&str, TaskIndex)> = names
            .map(|(index, task)| (task.task_id.text.as_str(), TaskIndex::new(index)))
            .collect();
        by_id.sort_unstable();
        let find = |name: &str| {
            let found = by_id.partition_point(|(id, _)| *id < name);
            by_id
                .get(found)
                .filter(|(id, _)| *id == name)
                .map(|(_, index)| *index)
        };
        let ids = || by_id.iter().map(|(id, _)| *id);
        let mut found: Vec<Dependency> = Vec::new();
        for (index, item) in tasks.elements().enumerate().take(draft.tasks.len()) {
            let downstream = TaskIndex::new(index);
            let after = member(item, "after").into_iter().flat_map(Item::elements);
            for upstream in after.filter_map(text_of) {
                if let Some(index) = find(&upstream.text) {
                    found.push(Dependency {
                        upstream: index,
                        downstream,
                        at: upstream.span.into(),
                    });
                } else {
                    self.report.error(upstream.span, "no task has this id", || {
                        let task_id = &draft.tasks[index].task_id.text;
                        Diagnostic::new(format!(
                            "task `{}` has unknown upstream `{}`",
                            quote(task_id),
                            quote(&upstream.text)
                        ))
                        .help(suggest::help(&upstream.text, ids()))
                    });
                }
            }
        }
        let order = order.into_iter().flat_map(Item::elements);
        for line in order.filter_map(text_of) {
            let groups = match order::parse(&line.text) {
                Ok(groups) => groups,
                Err(error) => {
                    self.report.error(line.part(error.part), error.label, || {
                        Diagnostic::new(format!("`{}` is not an order of tasks", quote(&line.text)))
                            .help("write \"a >> b\", \"a >> [b, c] >> d\" or \"b << a\"".to_owned())
                    });
                    continue;
                }
            };
            // Saturating: on a 32-bit host, one line can name more pairs than `usize` counts.
            let count = groups.windows(2).fold(found.len(), |count, pair| {
                count.saturating_add(pair[0].len().saturating_mul(pair[1].len()))
            });
            if count > DEPENDENCIES_MAX {
                self.report.error(line.span, "", too_many_dependencies);
                return;
            }
            let groups: Vec<Vec<(Option<TaskIndex>, At)>> = groups
                .into_iter()
                .map(|group| {
                    let mut known = Vec::with_capacity(group.len());
                    for part in group {
                        let name = &line.text[part.clone()];
                        let index = find(name);
                        let at = line.part(part.clone());
                        if index.is_none() {
                            self.report.error(at, "no task has this id", || {
                                Diagnostic::new(format!(
                                    "unknown task `{}` in `order`",
                                    quote(name)
                                ))
                                .help(suggest::help(name, ids()))
                            });
                        }
                        known.push((index, at));
                    }
                    known
                })
                .collect();
            for pair in groups.windows(2) {
                for &(upstream, _) in &pair[0] {
                    for &(downstream, at) in &pair[1] {
                        if let (Some(upstream), Some(downstream)) = (upstream, downstream) {
                            found.push(Dependency {
                                upstream,
                                downstream,
                                at,
                            });
                        }
                    }
                }
            }
        }
        if found.len() > DEPENDENCIES_MAX {
            self.report
                .error(found[DEPENDENCIES_MAX].at, "", too_many_dependencies);
            found.clear();
        }
        draft.dependencies = found;
    }
}
