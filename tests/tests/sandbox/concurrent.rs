//! Several at once: each keeps its own way out.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::ground::Ground;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::network::WAYS;
use crate::origin::Origin;
use crate::{ATTACK, everybody};

/// A sandbox that asks for what it is told to, line by line.
struct Asker {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Asker {
    fn start(ground: &Ground, options: &[&str]) -> Result<Self> {
        let code = format!(
            "{ATTACK}\n{WAYS}\nfor line in sys.stdin:\n    way, target = line.split()\n    attempt(way, lambda: globals()[way](target))"
        );
        let mut child = ground.begin(options, ["python3", "-c", &code])?;
        let stdin = child.stdin.take().context("stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("stdout")?).lines();
        Ok(Self { child, stdin, stdout })
    }

    async fn ask(&mut self, way: &str, target: &str) -> Result<String> {
        self.stdin.write_all(format!("{way} {target}\n").as_bytes()).await?;
        self.stdout.next_line().await?.context("an answer")
    }

    async fn end(mut self) -> Result<()> {
        drop(self.stdin);
        assert!(self.child.wait().await?.success());
        Ok(())
    }
}

#[tokio::test]
async fn w_13_two_at_once_keep_their_own_way_out() -> Result<()> {
    everybody(async |ground| {
        let (one, two) = (
            Origin::start("one", "127.0.0.1:0").await?,
            Origin::start("two", "127.0.0.1:0").await?,
        );
        let options = |origin: &Origin| {
            [
                "--network",
                "restricted",
                "--egress",
                &origin.named(),
                "--loopback",
                &format!("4000={}", origin.named()),
            ]
            .map(str::to_owned)
        };
        let start = |origin: &Origin| {
            let options = options(origin);
            Asker::start(ground, &options.each_ref().map(String::as_str))
        };
        let mut first = start(&one)?;
        assert_eq!(first.ask("absolute", &one.named()).await?, "absolute: 200 one");
        let mut second = start(&two)?;
        for _ in 0..2 {
            assert_eq!(second.ask("absolute", &two.named()).await?, "absolute: 200 two");
            assert_eq!(second.ask("connect", &one.named()).await?, "connect: 403 blocked");
            assert_eq!(second.ask("direct", "127.0.0.1:4000").await?, "direct: 200 two");
            assert_eq!(first.ask("connect", &one.named()).await?, "connect: 200 one");
            assert_eq!(first.ask("socks", &two.named()).await?, "socks: code 2");
            assert_eq!(first.ask("direct", "127.0.0.1:4000").await?, "direct: 200 one");
        }
        second.end().await?;
        assert_eq!(first.ask("absolute", &one.named()).await?, "absolute: 200 one");
        first.child.start_kill()?;
        let mut third = start(&two)?;
        assert_eq!(third.ask("socks", &two.named()).await?, "socks: 200 two");
        third.end().await
    })
    .await
}

#[tokio::test]
async fn many_starts_at_once_mix_nothing_up() -> Result<()> {
    everybody(async |ground| {
        let starts = (0..12).map(async |number: u16| {
            let origin = Origin::start(&format!("origin {number}"), "127.0.0.1:0").await?;
            let map = format!("4000={}", origin.named());
            let code = format!("{ATTACK}\n{WAYS}\nattempt('mapped', lambda: direct('127.0.0.1:4000'))\nprint(len(os.listdir('/proc/self/fd')))");
            let network = if number.is_multiple_of(3) { "open" } else { "restricted" };
            let ran = ground.sandbox(&["--network", network, "--loopback", &map], ["python3", "-c", &code]).await?;
            let expected = match network {
                "open" => "mapped: ECONNREFUSED\n4\n".to_owned(),
                _ => format!("mapped: 200 origin {number}\n4\n"),
            };
            assert_eq!(ran.stdout, expected, "{ran:?}");
            anyhow::Ok(())
        });
        futures_util::future::try_join_all(starts).await?;
        Ok(())
    })
    .await
}
