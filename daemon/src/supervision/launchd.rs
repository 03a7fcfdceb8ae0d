//! The property list for launchd. Untested: it has never run on a Mac.

use std::fmt::Write as _;
use std::path::Path;

use super::Plan;

/// What launchd calls it.
pub(super) const LABEL: &str = "org.reveille.daemon";

const TEXT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>@LABEL@</string>
	<key>ProgramArguments</key>
	<array>
@COMMAND@	</array>
	<key>EnvironmentVariables</key>
	<dict>
		<key>PATH</key>
		<string>@PATH@</string>
	</dict>
	<key>RunAtLoad</key>
	<true/>
	<!-- Again after a failure, not after a stop that was asked for. -->
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<!-- As long as running turns may take to end, and what comes behind them. -->
	<key>ExitTimeOut</key>
	<integer>@STOP@</integer>
	<!-- 0077: files are private. -->
	<key>Umask</key>
	<integer>63</integer>
	<key>SoftResourceLimits</key>
	<dict>
		<key>NumberOfFiles</key>
		<integer>65536</integer>
	</dict>
	<!-- launchd keeps no log of its own: this file grows until somebody empties it. -->
	<key>StandardErrorPath</key>
	<string>@LOG@</string>
</dict>
</plist>
"#;

pub(super) fn plist(plan: &Plan) -> String {
    let mut command = String::new();
    for word in &plan.command {
        // silent-ok: a String takes everything
        let _ = writeln!(command, "\t\t<string>{}</string>", escaped(word));
    }
    let log = plan.state_dir.join("service.log");
    TEXT.replace("@LABEL@", LABEL)
        .replace("@COMMAND@", &command)
        .replace("@PATH@", &escaped(&plan.path))
        .replace("@STOP@", &plan.stop.as_secs().to_string())
        .replace("@LOG@", &escaped(&log.display().to_string()))
}

pub(super) fn commands(what: &str, file: &Path) -> Vec<Vec<String>> {
    let domain = format!("gui/{}", rustix::process::getuid().as_raw());
    let words = [
        "launchctl".to_owned(),
        what.to_owned(),
        domain,
        file.display().to_string(),
    ];
    vec![words.to_vec()]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
