"""Tests that bundles carry, as test scenarios and as the project standards report: they really run."""

from case import Case, bundle, client, covers, permission

TESTED = """\
name: iris
x-slipway: {{version: "{version}"}}
services:
  web:
    image: busybox:lab
    command: ["sh", "-c", "mkdir -p /www; echo setosa >/www/flower; exec httpd -f -p 8080 -h /www"]
    expose: ["8080"]
    stop_grace_period: 0s
  answers:
    image: busybox:lab
    command: ["sh", "-c", "wget -qO- http://web:8080/flower | grep {wanted}"]
    x-slipway: {{kind: test}}
  quick:
    image: busybox:lab
    command: ["sh", "-c", "echo quick enough"]
    x-slipway: {{kind: test}}
"""


def tested(version, wanted="setosa"):
    """A bundle whose test `answers` passes where that flower is served."""
    return bundle("iris", version, compose=TESTED.format(version=version, wanted=wanted))


class Scenarios(Case):
    def setUp(self):
        super().setUp()
        self.deployer.upload_bundle(tested("1"))
        self.deployer.upload_bundle(tested("2", wanted="virginica"))

    @covers(
        "DSSProjectDeployerDeployment.get_testing_status",
        "DSSProjectDeployerDeployment.run_test_scenarios",
        "DSSTestingStatus.nb_total_ran_scenarios",
        "DSSTestingStatus.nb_scenarios_per_outcome",
        "DSSTestingStatus.get_raw",
    )
    def test_testing_status(self):
        made = self.deploy()
        self.refused("CodedException", "nothing of", made.run_test_scenarios)
        made.start_update().wait_for_result()
        before = made.get_testing_status()
        self.assertEqual(before.nb_total_ran_scenarios, 0, "an update runs no tests")
        status = made.run_test_scenarios()
        self.assertEqual(status.nb_total_ran_scenarios, 2)
        self.assertEqual(status.nb_scenarios_per_outcome, {"SUCCESS": 2, "WARNING": 0, "FAILED": 0, "ABORTED": 0})
        self.assertEqual([one["id"] for one in status.get_raw()["scenarios"]], ["answers", "quick"])
        self.assertEqual([one.type for one in made.list_updates()], ["UPDATE"], "a run of tests is none")
        self.assertEqual(made.get_update().get_raw()["type"], "UPDATE")
        run = made.get_update(str(status.get_raw()["lastRunTimestamp"]))
        self.assertEqual((run.get_raw()["type"], run.status), ("TEST", "SUCCESS"))
        self.assertTrue(any("quick enough" in line for line in run.logs), run.logs)
        self.healthy(made)
        self.assertEqual(len(self.containers(made)), 1, "what was started for them is gone")

        settings = made.get_settings()
        settings.bundle_id = "2"
        settings.save()
        made.start_update().wait_for_result()
        status = made.run_test_scenarios(automation_node_id="local")
        self.assertEqual(status.nb_scenarios_per_outcome["FAILED"], 1)
        self.assertEqual(status.nb_scenarios_per_outcome["SUCCESS"], 1)
        self.assertEqual(made.get_testing_status(bundle_id="1").nb_scenarios_per_outcome["SUCCESS"], 2)
        self.assertEqual(made.get_testing_status(automation_node_id="local").nb_scenarios_per_outcome["FAILED"], 1)
        self.refused("IllegalArgumentException", "local alone", made.get_testing_status, automation_node_id="moon")
        self.refused("NotFoundException", "9", made.get_testing_status, bundle_id="9")
        self.healthy(made)
        monitoring = made.get_status().get_heavy()["monitoring"]
        self.assertTrue(monitoring["hasScenarios"])
        self.assertEqual((monitoring["failed"], monitoring["successful"]), (["answers"], ["quick"]))

    @covers(
        "DSSProjectDeployerProject.get_project_standards_report",
        "DSSProjectStandardsRunReport.checks_run_info",
        "DSSProjectStandardsCheckRunInfo.check",
        "DSSProjectStandardsCheckRunInfo.result",
        "DSSProjectStandardsCheckRunInfo.duration_ms",
        "DSSProjectStandardsCheckRunInfo.expanded_check_params",
        "DSSProjectStandardsCheckRunResult.status",
        "DSSProjectStandardsCheckRunResult.severity",
        "DSSProjectStandardsCheckRunResult.severity_category",
        "DSSProjectStandardsCheckRunResult.success",
        "DSSProjectStandardsCheckRunResult.message",
        "DSSProjectStandardsCheckRunResult.details",
    )
    def test_report(self):
        project = self.deployer.get_project("iris")
        self.assertIsNone(project.get_project_standards_report("2"), "none ran")
        made = self.deploy(version="2")
        made.start_update().wait_for_result()
        made.run_test_scenarios()
        report = project.get_project_standards_report("2")
        self.assertEqual((report.project_key, report.scope), ("iris", None))
        self.assertIn("admins", report.requester)
        self.assertGreater(report.start_time, 1_600_000_000_000)
        checks = report.checks_run_info
        self.assertEqual(set(checks), {"answers", "quick"})
        good, bad = checks["quick"], checks["answers"]
        self.assertEqual((good.check.id, bad.check.id), ("quick", "answers"))
        self.assertEqual((good.result.status, good.result.severity, good.result.success), ("RUN_SUCCESS", 0, True))
        self.assertIsNone(good.result.severity_category)
        self.assertEqual((bad.result.severity, bad.result.severity_category), (5, "CRITICAL"))
        self.assertFalse(bad.result.success)
        self.assertTrue(bad.result.message)
        self.assertEqual(bad.result.details["exitCode"], 1)
        self.assertEqual((bad.result.details["deployment"], bad.expanded_check_params), (made.id, {}))
        self.assertTrue(0 <= bad.duration_ms <= report.total_duration_ms)
        raw = project.get_project_standards_report("2", as_type="dict")
        self.assertEqual(raw["bundleId"], "2")
        self.refused("NotFoundException", "9", project.get_project_standards_report, "9")
        stranger = client("ops").get_projectdeployer().get_project("iris")
        self.refused("NotFoundException", "iris", stranger.get_project_standards_report, "2")

    def test_running_them_takes_the_right_to_deploy(self):
        made = self.deploy()
        made.start_update().wait_for_result()
        for thing in (self.deployer.get_project("iris"), self.deployer.get_infra("local")):
            settings = thing.get_settings()
            settings.get_raw()["permissions"].append(permission("viewers", read=True))
            settings.save()
        theirs = client("viewers").get_projectdeployer().get_deployment(made.id)
        self.refused("UnauthorizedException", "deploy", theirs.run_test_scenarios)
        self.assertEqual(theirs.get_testing_status().nb_total_ran_scenarios, 0)

    def test_governance_asks_for_them(self):
        infra = self.deployer.create_infra("guarded", "prod", govern_check_policy="WARN")
        on_guarded = self.deploy(infra="guarded", ignore_warnings=True)
        codes = lambda: [one["code"] for one in on_guarded.get_governance_status()["messages"]]
        self.assertIn("TESTS_NOT_PASSED", codes())
        made = self.deploy()
        made.start_update().wait_for_result()
        made.run_test_scenarios()
        self.assertNotIn("TESTS_NOT_PASSED", codes(), "they passed where the bundle ran before")
        self.assertEqual(infra.get_status().get_raw()["deployments"][0]["id"], on_guarded.id)
