//! The keys of `launcher` as flags: each is an override of what the sweep file says.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use crate::spec::launcher::{Form, KEYS, Key};

/// What flags say, as overrides: `launcher.partition="gpu"`.
#[derive(Debug, Clone, Default)]
pub struct LauncherFlags(pub Vec<String>);

impl clap::Args for LauncherFlags {
    fn augment_args(command: Command) -> Command {
        KEYS.iter().fold(command, |command, key| command.arg(argument(key)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LauncherFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let texts = |key: &Key| {
            matches.get_many::<String>(key.name).map(|texts| texts.map(String::as_str).collect::<Vec<_>>())
        };
        Ok(Self(KEYS.iter().filter_map(|key| Some(overriding(key, &texts(key)?))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(key: &'static Key) -> Arg {
    let value = match key.form {
        Form::Count(_) | Form::Number => "N",
        Form::Text => "TEXT",
        Form::Folder => "DIR",
        Form::Lines => "LINE",
        Form::Map => "OPTION=VALUE",
    };
    let several = matches!(key.form, Form::Lines | Form::Map);
    Arg::new(key.name)
        .long(key.flag)
        .value_name(value)
        .help(key.about.trim_end_matches('.'))
        .help_heading("What the cluster is asked for (`launcher:` in the sweep file)")
        .action(if several { ArgAction::Append } else { ArgAction::Set })
}

/// Texts are quoted: YAML would take a comma in one for the end of it.
fn overriding(key: &Key, texts: &[&str]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let value = match key.form {
        Form::Count(_) | Form::Number => texts.concat(),
        Form::Text | Form::Folder => quoted(&texts.concat()),
        Form::Lines => texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(","),
        Form::Map => {
            let pairs = texts.iter().map(|text| {
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                format!("{}: {}", quoted(name), quoted(value))
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    };
    format!("launcher.{}={value}", key.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Launcher, parse};

    fn launcher(arguments: &[&str]) -> Launcher {
        let command = <LauncherFlags as clap::Args>::augment_args(Command::new("x"));
        let matches = command.try_get_matches_from([&["x"], arguments].concat()).unwrap();
        let flags = LauncherFlags::from_arg_matches(&matches).unwrap();
        let text = "model: lab\nlauncher: {partition: slow, qos: high, setup: [a]}\n";
        parse(text, "study.yaml", &flags.0).unwrap().launcher
    }

    #[test]
    fn flags_replace_what_the_file_says_key_by_key() {
        let with = launcher(&[
            "--timeout-min",
            "90",
            "--partition",
            "gpu,long",
            "--mem-gb",
            "7.5",
            "--setup",
            "module load a, b",
            "--setup",
            "export X=\"1\"",
            "--additional-parameters",
            "nice=100",
            "--additional-parameters",
            "comment=a=b",
        ]);
        assert_eq!((with.timeout_min, with.mem_gb), (Some(90), Some(7.5)));
        assert_eq!((with.partition.as_deref(), with.qos.as_deref()), (Some("gpu,long"), Some("high")));
        assert_eq!(with.setup, ["module load a, b", "export X=\"1\""]);
        let more: Vec<_> =
            with.additional_parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(more, ["comment=a=b", "nice=100"]);
        assert_eq!(launcher(&[]).setup, ["a"]);
    }
}
