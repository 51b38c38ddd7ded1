"""An infrastructure: its status, settings, keys and end."""

import dataikuapi
from case import URL, Case, bundle, client, covers, permission


class Infra(Case):
    def setUp(self):
        super().setUp()
        self.infra = self.deployer.create_infra("rehearsal", "test")

    @covers(
        "DSSProjectDeployerInfra.id",
        "DSSProjectDeployerInfra.get_status",
        "DSSProjectDeployerInfraStatus.get_deployments",
        "DSSProjectDeployerInfraStatus.get_raw",
    )
    def test_status(self):
        self.deployer.upload_bundle(bundle("iris", "1"))
        made = self.deploy(infra="rehearsal")
        status = self.deployer.get_infra("rehearsal").get_status()
        self.assertEqual(self.infra.id, "rehearsal")
        self.assertEqual([one.id for one in status.get_deployments()], [made.id])
        raw = status.get_raw()
        self.assertEqual(raw["deployments"][0]["bundleId"], "1")
        self.assertEqual(raw["infraBasicInfo"]["stage"], "test")
        self.refused("NotFoundException", "moon", self.deployer.get_infra("moon").get_status)

    @covers(
        "DSSProjectDeployerInfra.get_settings",
        "DSSProjectDeployerInfraSettings.get_raw",
        "DSSProjectDeployerInfraSettings.save",
    )
    def test_settings(self):
        settings = self.infra.get_settings()
        raw = settings.get_raw()
        self.assertEqual((raw["stage"], raw["governCheckPolicy"], raw["permissions"]), ("test", "NO_CHECK", []))
        self.assertEqual(raw["engine"]["kind"], "docker")
        raw["stage"] = "prod"
        raw["governCheckPolicy"] = "PREVENT"
        raw["permissions"] = [permission("ml", deploy=True), permission("ops", read=True, admin=False)]
        raw["engine"]["networkPool"] = "10.203.0.0/16"
        raw["policy"]["maxReplicas"] = 7
        settings.save()
        now = self.infra.get_settings().get_raw()
        self.assertEqual((now["stage"], now["governCheckPolicy"]), ("prod", "PREVENT"))
        self.assertEqual(
            now["permissions"],
            [
                permission("ml", read=True, deploy=True, admin=False),
                permission("ops", read=True, deploy=False, admin=False),
            ],
            "rights are cumulative",
        )
        self.assertEqual((now["engine"]["networkPool"], now["policy"]["maxReplicas"]), ("10.203.0.0/16", 7))
        # The same object again, changed once more: nobody has to read it anew.
        raw["permissions"] = [permission("ml", admin=True)]
        settings.save()
        [only] = self.infra.get_settings().get_raw()["permissions"]
        self.assertEqual(only, permission("ml", read=True, deploy=True, admin=True))

    def test_what_is_wrong_is_named_and_nothing_is_saved(self):
        settings = self.infra.get_settings()
        before = self.infra.get_settings().get_raw()
        for field, value, words in [
            ("id", "other", ["id", "can't be changed"]),
            ("automationNodeUrl", "https://node.example", "automationNodeUrl"),
            ("colour", "red", ["colour", "no such setting", "permissions"]),
            ("stage", "moon", "no stage moon"),
            ("governCheckPolicy", "PERHAPS", "PERHAPS"),
            ("permissions", [{"group": "ml", "fly": True}], "fly"),
            ("engine", {"kind": "podman"}, ["engine", "podman"]),
        ]:
            with self.subTest(field):
                raw = settings.get_raw()
                kept = raw.get(field)
                raw[field] = value
                raw["permissions"] = raw["permissions"] or [permission("ml", read=True)]
                self.refused("IllegalArgumentException", words, settings.save)
                raw["permissions"] = []
                raw[field] = kept
                if kept is None and field not in before:
                    del raw[field]
                self.assertEqual(self.infra.get_settings().get_raw(), before)

    def test_whose_settings(self):
        settings = self.infra.get_settings()
        settings.get_raw()["permissions"] = [permission("ml", admin=True), permission("viewers", read=True)]
        settings.save()
        theirs = client("ml").get_projectdeployer().get_infra("rehearsal").get_settings()
        theirs.get_raw()["governCheckPolicy"] = "WARN"
        theirs.save()
        self.assertEqual(self.infra.get_settings().get_raw()["governCheckPolicy"], "WARN")
        theirs.get_raw()["engine"]["networkPool"] = "10.204.0.0/16"
        self.refused("UnauthorizedException", "administrator", theirs.save)
        viewers = client("viewers").get_projectdeployer().get_infra("rehearsal").get_settings()
        viewers.get_raw()["stage"] = "dev"
        self.refused("UnauthorizedException", "admin", viewers.save)
        nobody = client("ops").get_projectdeployer().get_infra("rehearsal")
        self.refused("NotFoundException", "rehearsal", nobody.get_settings)

    @covers("DSSProjectDeployerInfra.delete")
    def test_delete(self):
        self.deployer.upload_bundle(bundle("iris", "1"))
        made = self.deploy(infra="rehearsal")
        self.refused("CodedException", ["is used by", made.id, "Delete them first"], self.infra.delete)
        made.delete()
        self.infra.delete()
        self.assertEqual([infra.id for infra in self.deployer.list_infras()], ["local"])
        self.refused("NotFoundException", "rehearsal", self.infra.delete)

    @covers(
        "DSSProjectDeployerInfra.generate_personal_api_key",
        "DSSPersonalAPIKeyCreationResult.created_on_all_nodes",
        "DSSPersonalAPIKeyCreationResult.user",
        "DSSPersonalAPIKeyCreationResult.secret",
        "DSSPersonalAPIKeyCreationResult.nodes_and_keys",
        "DSSPersonalAPIKeyCreationResult.error",
        "DSSPersonalAPIKeyCreationResult.nodes_where_user_does_not_exist",
        "DSSPersonalAPIKeyCreationResult.nodes_where_user_is_disabled",
        "DSSPersonalAPIKeyCreationResult.get_raw",
    )
    def test_personal_api_key(self):
        settings = self.infra.get_settings()
        settings.get_raw()["permissions"] = [permission("ml", deploy=True)]
        settings.save()
        theirs = client("ml").get_projectdeployer().get_infra("rehearsal")
        made = theirs.generate_personal_api_key("night run", "for the nightly release")
        self.assertTrue(made.created_on_all_nodes)
        self.assertIsNone(made.error)
        self.assertEqual([node["nodeId"] for node in made.nodes_and_keys], ["rehearsal"])
        self.assertEqual((made.nodes_where_user_does_not_exist, made.nodes_where_user_is_disabled), ([], []))
        self.assertEqual(made.get_raw()["user"], made.user)
        # It opens what its maker's key opens, and no more.
        with_it = dataikuapi.DSSClient(URL, made.secret).get_projectdeployer()
        self.assertEqual([infra.id for infra in with_it.list_infras()], ["rehearsal"])
        self.refused("UnauthorizedException", "administrator", with_it.create_infra, "x", "dev")
        # Nobody gets somebody else's.
        other = theirs.generate_personal_api_key("theirs", "", for_user="somebody")
        self.assertFalse(other.created_on_all_nodes)
        self.assertIsNone(other.secret)
        self.assertIn("somebody", other.error)
        self.assertEqual([node["nodeId"] for node in other.nodes_where_user_does_not_exist], ["rehearsal"])
        absent = client("ops").get_projectdeployer().get_infra("rehearsal")
        self.refused("NotFoundException", "rehearsal", absent.generate_personal_api_key, "x", "")
