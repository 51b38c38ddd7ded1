"""WARN and PREVENT as the client meets them, and a second person's approval."""

from case import CHECK, Case, bundle, client, covers, permission, rest

SOUND = CHECK + "\n    deploy: {resources: {limits: {cpus: '0.5', memory: 64M}}}"


class Governance(Case):
    def setUp(self):
        super().setUp()
        self.deployer.upload_bundle(bundle("iris", "1", more="init: true"))
        self.deployer.upload_bundle(bundle("iris", "2", more=SOUND))

    def infra(self, policy):
        """One of that policy, where group ml deploys and group approvers approves."""
        made = self.deployer.create_infra("guarded", "prod", govern_check_policy=policy)
        for thing, rights in ((made, {"deploy": True}), (self.deployer.get_project("iris"), {"deploy": True})):
            settings = thing.get_settings()
            settings.get_raw()["permissions"] += [permission("ml", **rights), permission("approvers", read=True)]
            settings.save()
        rest("admins", "PUT", "/infrastructures/guarded/approvers/approvers")
        return made

    def codes(self, messages):
        return [message["code"] for message in messages["messages"]]

    @covers("DSSProjectDeployerDeployment.get_governance_status")
    def test_warn(self):
        self.infra("WARN")
        ml = client("ml").get_projectdeployer()
        create = ml.create_deployment
        words = ["Not approved", "No health check", "No limits", "Images are not pinned", "ignoreWarnings"]
        self.refused("CodedException", words, create, "d", "iris", "guarded", "1")
        self.assertEqual(ml.list_deployments(), [], "nothing was made")
        made = create("d", "iris", "guarded", "1", ignore_warnings=True)
        said = made.get_governance_status()
        self.assertEqual(self.codes(said), ["NOT_APPROVED", "IMAGES_NOT_PINNED", "NO_HEALTH_CHECK", "NO_LIMITS"])
        for message in said["messages"]:
            self.assertEqual(set(message), {"severity", "code", "title", "message", "details", "isFatal"})
            self.assertEqual((message["severity"], message["isFatal"]), ("WARNING", False))
        self.assertEqual((said["warning"], said["error"], said["maxSeverity"]), (True, False, "WARNING"))
        self.assertEqual(self.codes(made.get_governance_status(bundle_id="2")), ["NOT_APPROVED", "IMAGES_NOT_PINNED"])
        self.refused("IllegalArgumentException", "no bundle 9", made.get_governance_status, "9")
        settings = made.get_settings()
        settings.bundle_id = "2"
        self.refused("CodedException", "Not approved", settings.save)
        self.assertEqual(made.get_settings().bundle_id, "1")
        settings.save(ignore_warnings=True)
        made.start_update().wait_for_result()
        self.healthy(made, "WARNING")

    def test_prevent_and_a_second_persons_approval(self):
        self.infra("PREVENT")
        ml = client("ml").get_projectdeployer()
        made = ml.create_deployment("d", "iris", "guarded", "2")
        self.assertEqual(self.codes(made.get_governance_status()), ["NOT_APPROVED", "IMAGES_NOT_PINNED"])
        self.assertTrue(made.get_governance_status()["fatal"])
        self.refused("CodedException", ["Not approved", "approval"], made.start_update)
        self.assertEqual(made.list_updates(), [], "a refusal is no failed update")
        asked = rest("ml", "POST", "/deployments/d/approvals", {"reason": "release 2"})
        path = f"/approvals/{asked['name']}"
        rest("ml", "POST", f"{path}/approve", {"comment": "mine"}, expect=403)
        rest("approvers", "POST", f"{path}/approve", {"comment": "looks right"})
        self.assertEqual(made.get_governance_status()["messages"], [])
        made.start_update().wait_for_result()
        self.healthy(made)
        # What was approved is that plan and no other.
        settings = made.get_settings()
        settings.get_raw()["localVariables"] = {"A": "b"}
        settings.save()
        self.assertIn("NOT_APPROVED", self.codes(made.get_governance_status()))
        self.refused("CodedException", "Not approved", made.start_update)
        settings.get_raw()["localVariables"] = {}
        settings.save()
        self.assertEqual(made.get_governance_status()["messages"], [])

    def test_no_check_says_nothing(self):
        made = self.deploy()
        self.assertEqual(made.get_governance_status()["messages"], [])
