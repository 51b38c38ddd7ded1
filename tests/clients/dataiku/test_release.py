"""A release team's whole script: what they run each time, against Slipway in the place of Dataiku."""

from case import CHECK, Case, bundle, by_id, client, permission, rest

SOUND = CHECK + "\n    deploy: {resources: {limits: {cpus: '0.5', memory: 64M}}}"
STAGES = [("lab", "dev", "NO_CHECK"), ("rehearsal", "test", "WARN"), ("production", "prod", "PREVENT")]


class Release(Case):
    def test_the_whole_script(self):
        self.platform_sets_up()
        team = client("ml").get_projectdeployer()
        self.assertTrue(by_id(team.list_infras(as_objects=False), "infraBasicInfo")["lab"]["canDeploy"])
        self.assertFalse(by_id(team.list_infras(as_objects=False), "infraBasicInfo")["production"]["canDeploy"])

        # Two bundles, the first of them deployed in the lab.
        team.upload_bundle(bundle("iris", "1.0", more=SOUND))
        team.upload_bundle(bundle("iris", "1.1", more=SOUND))
        lab = team.create_deployment("iris-lab", "iris", "lab", "1.0")
        lab.start_update().wait_for_result()
        self.healthy(lab)

        # Change settings, roll forward and back.
        settings = lab.get_settings()
        settings.get_raw()["localVariables"] = {"MODE": "trial"}
        settings.bundle_id = "1.1"
        settings.save()
        lab.start_update().wait_for_result()
        self.assertEqual(self.running(lab), "1.1")
        settings.bundle_id = "1.0"
        settings.save()
        lab.start_update().wait_for_result()
        self.assertEqual(self.running(lab), "1.0")
        settings.bundle_id = "1.1"
        settings.save()
        lab.start_update().wait_for_result()

        # On to the rehearsal, which warns.
        self.refused("CodedException", "ignore", team.create_deployment, "iris-test", "iris", "rehearsal", "1.1")
        rehearsal = team.create_deployment("iris-test", "iris", "rehearsal", "1.1", ignore_warnings=True)
        rehearsal.start_update().wait_for_result()
        self.healthy(rehearsal, "WARNING")

        # And to production: another team deploys, a third person approves.
        operators = client("ops").get_projectdeployer()
        production = operators.create_deployment("iris-prod", "iris", "production", "1.1", deployed_project_key="IRIS")
        self.refused("UnauthorizedException", "deploy", team.get_deployment("iris-prod").start_update)
        self.refused("CodedException", "Not approved", production.start_update)
        asked = rest("ops", "POST", "/deployments/iris-prod/approvals", {"reason": "1.1 ran in the rehearsal"})
        rest("approvers", "POST", f"/approvals/{asked['name']}/approve", {"comment": "go"})
        production.start_update().wait_for_result()
        self.healthy(production)
        self.assertEqual([one.id for one in operators.list_deployments()], ["iris-prod"], "what they were granted")
        status = team.get_project("iris").get_status()
        self.assertEqual({one.id for one in status.get_deployments()}, {"iris-lab", "iris-test", "iris-prod"})
        self.assertEqual([one.id for one in status.get_deployments("production")], ["iris-prod"])
        self.assertEqual({one.get_status().get_health() for one in status.get_deployments()}, {"HEALTHY", "WARNING"})

        # Promoted in Slipway's console or API, it is the same deployment here.
        team.upload_bundle(bundle("iris", "1.2", more=SOUND))
        settings.bundle_id = "1.2"
        settings.save()
        lab.start_update().wait_for_result()
        rest("ml", "POST", "/deployments/iris-lab/promote", {"to": "rehearsal", "as": "iris-test", "ignoreWarnings": True})
        self.assertEqual(rehearsal.get_settings().bundle_id, "1.2")
        self.healthy(rehearsal, "OUT_OF_SYNC")

        # Clean up.
        for deployer, deployment in ((team, lab), (team, rehearsal), (operators, production)):
            deployment = deployer.get_deployment(deployment.id)
            settings = deployment.get_settings()
            settings.get_raw()["enabled"] = False
            settings.save(ignore_warnings=True)
            deployment.start_update().wait_for_result()
            deployment.delete()
        project = self.deployer.get_project("iris")
        for one in project.get_status().get_bundles():
            project.delete_bundle(one["id"])
        project.delete()
        for name, _, _ in STAGES:
            self.deployer.get_infra(name).delete()
        self.assertEqual([infra.id for infra in self.deployer.list_infras()], ["local"])

    def platform_sets_up(self):
        """Infrastructures in three stages, with their grants."""
        rights = {
            "lab": [permission("ml", deploy=True)],
            "rehearsal": [permission("ml", deploy=True), permission("approvers", read=True)],
            "production": [permission("ml", read=True), permission("ops", deploy=True), permission("approvers", read=True)],
        }
        for name, stage, policy in STAGES:
            infra = self.deployer.create_infra(name, stage, govern_check_policy=policy)
            settings = infra.get_settings()
            settings.get_raw()["permissions"] = rights[name]
            settings.save()
        rest("admins", "PUT", "/infrastructures/production/approvers/approvers")
        settings = self.deployer.create_project("iris").get_settings()
        settings.get_raw()["permissions"] = [
            permission("ml", deploy=True),
            permission("ops", deploy=True),
            permission("approvers", read=True),
        ]
        settings.save()

    def running(self, deployment):
        """The bundle of what runs."""
        update = deployment.get_update()
        self.assertEqual(update.status, "SUCCESS")
        self.healthy(deployment)
        return update.get_raw()["bundleId"]
