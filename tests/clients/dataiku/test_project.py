"""A published project: its status, settings, bundles and end."""

import os
import tempfile

from case import Case, bundle, client, covers, permission


class Project(Case):
    def setUp(self):
        super().setUp()
        self.archive = bundle("iris", "1").read()
        self.deployer.upload_bundle(self.archive)
        self.project = self.deployer.get_project("iris")

    @covers(
        "DSSProjectDeployerProject.id",
        "DSSProjectDeployerProject.get_status",
        "DSSProjectDeployerProjectStatus.get_deployments",
        "DSSProjectDeployerProjectStatus.get_bundles",
        "DSSProjectDeployerProjectStatus.get_infras",
        "DSSProjectDeployerProjectStatus.get_raw",
    )
    def test_status(self):
        self.deployer.create_infra("rehearsal", "test")
        here, there = self.deploy(), self.deploy(infra="rehearsal")
        self.deployer.upload_bundle(bundle("iris", "2"))
        status = self.project.get_status()
        self.assertEqual(self.project.id, "iris")
        self.assertEqual({one.id for one in status.get_deployments()}, {here.id, there.id})
        self.assertEqual([one.id for one in status.get_deployments("rehearsal")], [there.id])
        self.assertEqual({one["id"] for one in status.get_infras()}, {"local", "rehearsal"})
        newest, oldest = status.get_bundles()
        self.assertEqual((newest["id"], oldest["id"]), ("2", "1"))
        self.assertEqual(newest["designNodeInfo"], {"projectKey": "iris"})
        self.assertTrue(newest["publishedOn"] >= oldest["publishedOn"] > 1_600_000_000_000)
        self.assertEqual(status.get_raw()["projectBasicInfo"]["id"], "iris")

    @covers(
        "DSSProjectDeployerProject.get_settings",
        "DSSProjectDeployerProjectSettings.get_raw",
        "DSSProjectDeployerProjectSettings.save",
    )
    def test_settings(self):
        settings = self.project.get_settings()
        raw = settings.get_raw()
        self.assertEqual((raw["id"], raw["name"]), ("iris", "iris"))
        raw["permissions"] = [
            permission("ml", write=True),
            permission("ops", deploy=True),
            permission("viewers", read=True),
            permission("admin-of-it", admin=True),
        ]
        raw["description"] = "Which flower is it?"
        settings.save()
        now = self.project.get_settings().get_raw()
        rights = {one.pop("group"): [name for name, has in one.items() if has] for one in now["permissions"]}
        self.assertEqual(rights["ml"], ["read", "write"])
        self.assertEqual(rights["ops"], ["read", "write", "deploy"])
        self.assertEqual(rights["viewers"], ["read"])
        self.assertEqual(rights["admin-of-it"], ["read", "write", "deploy", "admin"])
        self.assertEqual(now["description"], "Which flower is it?")
        # A group that may write uploads, and changes nothing else.
        ml = client("ml").get_projectdeployer()
        ml.upload_bundle(bundle("iris", "2"))
        theirs = ml.get_project("iris").get_settings()
        theirs.get_raw()["permissions"] = [permission("ml", admin=True)]
        self.refused("UnauthorizedException", "admin", theirs.save)
        viewer = client("viewers").get_projectdeployer()
        self.refused("UnauthorizedException", "publish", viewer.upload_bundle, bundle("iris", "3"))
        raw["name"] = "Iris"
        self.refused("IllegalArgumentException", "name", settings.save)

    @covers("DSSProjectDeployerProject.get_bundle_stream", "DSSProjectDeployerProject.download_bundle_to_file")
    def test_download(self):
        with self.project.get_bundle_stream("1") as stream:
            self.assertEqual(b"".join(stream.iter_content(1000)), self.archive)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "iris.zip")
            self.project.download_bundle_to_file("1", path)
            with open(path, "rb") as kept:
                self.assertEqual(kept.read(), self.archive)
        self.refused("NotFoundException", "9", self.project.get_bundle_stream, "9")

    @covers("DSSProjectDeployerProject.delete_bundle", "DSSProjectDeployerProject.delete")
    def test_delete(self):
        self.deployer.upload_bundle(bundle("iris", "2"))
        made = self.deploy()
        self.refused("CodedException", ["1 is used by", made.id], self.project.delete_bundle, "1")
        self.refused("CodedException", ["iris is used by", made.id], self.project.delete)
        self.project.delete_bundle("2")
        self.refused("NotFoundException", "2", self.project.delete_bundle, "2")
        made.delete()
        self.project.delete_bundle("1")
        self.assertEqual(self.project.get_status().get_bundles(), [])
        self.project.delete()
        self.refused("NotFoundException", "iris", self.project.get_status)
