//! What of an organization reaches the worker, by what is registered. Nothing here does I/O.

use super::survey::{FoundTemplate, Survey};
use super::target::Target;

/// How a template stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its webhooks come here.
    Here,
    /// They come here, but for those of these steps, which have a URL of their own.
    Partly(Vec<String>),
    /// They come here twice: from the template and from the organization.
    Twice,
    /// Only the organization's webhook tells of it.
    ByOrganization,
    /// Nothing of it comes here: why.
    Not(Target),
}

/// What of an organization reaches the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// How many webhooks of the organization as a whole come here.
    pub(crate) organization: usize,
    /// Each template, and how it stands.
    pub(crate) templates: Vec<(FoundTemplate, Reach)>,
}

impl Coverage {
    pub(crate) fn of(survey: Survey) -> Self {
        let here = |watcher: &&super::FoundWatcher| watcher.target.is_here();
        let organization = survey.watchers.known().iter().filter(here).count();
        let templates = survey.templates.into_iter();
        Self {
            organization,
            templates: templates
                .map(|template| {
                    let reach = reach(&template, organization > 0);
                    (template, reach)
                })
                .collect(),
        }
    }

    /// The templates of which nothing comes here.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &FoundTemplate> {
        let missing = |(_, reach): &&(FoundTemplate, Reach)| matches!(reach, Reach::Not(_));
        self.templates.iter().filter(missing).map(|(template, _)| template)
    }
}

fn reach(template: &FoundTemplate, by_organization: bool) -> Reach {
    let away = |(title, target): &(String, Target)| (!target.is_here()).then(|| title.clone());
    let steps: Vec<String> = template.steps.iter().filter_map(away).collect();
    match (&template.webhook, by_organization) {
        (Target::Here, true) => Reach::Twice,
        (_, true) => Reach::ByOrganization,
        (Target::Here, false) if steps.is_empty() => Reach::Here,
        (Target::Here, false) => Reach::Partly(steps),
        (target, false) => Reach::Not(target.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FoundWatcher, Watchers};
    use super::*;

    fn template(title: &str, webhook: Target, steps: &[(&str, Target)]) -> FoundTemplate {
        let steps = steps
            .iter()
            .map(|(title, target)| ((*title).to_owned(), target.clone()));
        FoundTemplate {
            id: title.into(),
            title: title.to_owned(),
            webhook,
            steps: steps.collect(),
            automations: Vec::new(),
        }
    }

    fn shown(watchers: Vec<Target>) -> Vec<String> {
        let elsewhere = || Target::Elsewhere("zapier.example".to_owned());
        let watchers = watchers
            .into_iter()
            .map(|target| FoundWatcher { id: "1".into(), target });
        let survey = Survey {
            watchers: Watchers::Known(watchers.collect()),
            templates: vec![
                template("whole", Target::Here, &[("step", Target::Here)]),
                template("a step elsewhere", Target::Here, &[("step", elsewhere())]),
                template("elsewhere", elsewhere(), &[("step", Target::Here)]),
                template("none", Target::Nowhere, &[]),
            ],
        };
        let coverage = Coverage::of(survey);
        let templates = coverage.templates.iter();
        templates
            .map(|(template, reach)| format!("{}: {reach:?}", template.title))
            .collect()
    }

    #[test]
    fn a_step_with_a_url_of_its_own_is_a_gap() {
        insta::assert_snapshot!(shown(Vec::new()).join("\n"), @r#"
        whole: Here
        a step elsewhere: Partly(["step"])
        elsewhere: Not(Elsewhere("zapier.example"))
        none: Not(Nowhere)
        "#);
    }

    #[test]
    fn the_organization_s_webhook_tells_of_all() {
        insta::assert_snapshot!(shown(vec![Target::Nowhere, Target::Here]).join("\n"), @r"
        whole: Twice
        a step elsewhere: Twice
        elsewhere: ByOrganization
        none: ByOrganization
        ");
    }
}
