"""The deployer itself: what there is, and how it is made."""

import os
import tempfile

from case import Case, bundle, by_id, client, covers, permission


class Deployer(Case):
    @covers("DSSClient.get_projectdeployer", "DSSProjectDeployer.list_stages")
    def test_stages(self):
        stages = self.client.get_projectdeployer().list_stages()
        self.assertEqual([stage["id"] for stage in stages], ["dev", "test", "prod"])
        self.assertEqual([stage["desc"] for stage in stages], ["Dev", "Test", "Prod"])

    @covers("DSSProjectDeployer.create_infra", "DSSProjectDeployer.list_infras", "DSSProjectDeployer.get_infra")
    def test_infrastructures(self):
        made = self.deployer.create_infra("rehearsal", "Test", govern_check_policy="WARN")
        self.assertEqual(made.id, "rehearsal")
        self.assertEqual({infra.id for infra in self.deployer.list_infras()}, {"local", "rehearsal"})
        self.assertEqual(self.deployer.get_infra("rehearsal").id, "rehearsal")
        listed = by_id(self.deployer.list_infras(as_objects=False), "infraBasicInfo")["rehearsal"]
        self.assertEqual(listed["infraBasicInfo"]["stage"], "test", "matched whatever the case")
        self.assertEqual(listed["infraBasicInfo"]["governCheckPolicy"], "WARN")
        self.assertEqual(listed["infraBasicInfo"]["automationNodeUrl"], "unix:///var/run/docker.sock")
        self.assertTrue(listed["canDeploy"] and listed["isAdmin"])
        self.assertEqual(listed["deployments"], [])
        self.refused("CodedException", "rehearsal exists", self.deployer.create_infra, "rehearsal", "test")
        self.refused("IllegalArgumentException", ["no stage moon", "dev, test, prod"], self.deployer.create_infra, "x", "moon")
        self.refused("IllegalArgumentException", "governCheckPolicy", self.deployer.create_infra, "x", "dev", "MAYBE")
        for_others = client("ml").get_projectdeployer()
        self.refused("UnauthorizedException", "administrator", for_others.create_infra, "x", "dev")
        self.assertEqual(for_others.list_infras(), [], "nothing was granted")

    @covers("DSSProjectDeployer.create_project", "DSSProjectDeployer.list_projects", "DSSProjectDeployer.get_project")
    def test_projects(self):
        ml = client("ml").get_projectdeployer()
        self.assertEqual(ml.create_project("iris").id, "iris")
        self.assertEqual([project.id for project in ml.list_projects()], ["iris"])
        self.assertEqual(ml.get_project("iris").id, "iris")
        listed = by_id(ml.list_projects(as_objects=False), "projectBasicInfo")["iris"]
        self.assertTrue(listed["canDeploy"] and listed["canWrite"] and listed["isAdmin"], "its maker's group has admin")
        self.assertEqual(client("ops").get_projectdeployer().list_projects(), [], "it is nobody else's")
        self.refused("CodedException", "iris is taken", ml.create_project, "iris")
        self.refused("IllegalArgumentException", "letters, digits", ml.create_project, "i r i s")

    @covers("DSSProjectDeployer.upload_bundle")
    def test_upload(self):
        ml = client("ml").get_projectdeployer()
        # From memory, under the archive's own key: the project is made.
        ml.upload_bundle(bundle("iris", "1"))
        self.assertEqual([one["id"] for one in ml.get_project("iris").get_status().get_bundles()], ["1"])
        # Under a key that is told, which is made as well.
        ml.upload_bundle(bundle("iris", "1"), project_key="flowers")
        self.assertEqual({project.id for project in ml.list_projects()}, {"flowers", "iris"})
        # A file whose name gives the version, where the archive has none.
        compose = "name: iris\nservices: {web: {image: busybox:lab, command: sleep 3600}}\n"
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "2.5.zip")
            with open(path, "wb") as out:
                out.write(bundle("iris", "", compose=compose).read())
            with open(path, "rb") as archive:
                ml.upload_bundle(archive)
        found = ml.get_project("iris").get_status().get_bundles()
        self.assertEqual([one["id"] for one in found], ["2.5", "1"])
        # The same again is no error, another content under its version is one.
        ml.upload_bundle(bundle("iris", "1"))
        self.refused("CodedException", "1", ml.upload_bundle, bundle("iris", "1", more="init: true"))
        unnamed = bundle("iris", "", compose=compose)
        self.refused("IllegalArgumentException", "the bundle has no version", ml.upload_bundle, unnamed)
        self.refused("IllegalArgumentException", "zip", ml.upload_bundle, b"this is no archive")
        broken = bundle("iris", "3", more="network_mode: host")
        self.refused("IllegalArgumentException", ["services.web", "host network"], ml.upload_bundle, broken)
        stranger = client("ops").get_projectdeployer()
        self.refused("NotFoundException", "iris", stranger.upload_bundle, bundle("iris", "9"), project_key="iris")

    @covers("DSSProjectDeployer.list_deployments", "DSSProjectDeployer.create_deployment", "DSSProjectDeployer.get_deployment")
    def test_deployments(self):
        self.deployer.upload_bundle(bundle("iris", "1"))
        self.deployer.upload_bundle(bundle("iris", "2"))
        made = self.deploy(deployed_project_key="IRIS_PROD", project_folder_id="flowers/wild")
        self.assertEqual(self.deployer.get_deployment(made.id).id, made.id)
        self.assertEqual([one.id for one in self.deployer.list_deployments()], [made.id])
        listed = by_id(self.deployer.list_deployments(as_objects=False), "deploymentBasicInfo")[made.id]
        info = listed["deploymentBasicInfo"]
        self.assertEqual((info["bundleId"], info["infraId"], info["publishedProjectKey"]), ("1", "local", "iris"))
        self.assertEqual((info["deployedProjectKey"], info["projectFolderId"]), ("IRIS_PROD", "flowers/wild"))
        self.assertEqual(listed["infraBasicInfo"]["id"], "local")
        self.assertEqual(listed["projectBasicInfo"], {"id": "iris", "name": "iris"})
        self.assertEqual([one["id"] for one in listed["packages"]], ["2", "1"])
        self.assertTrue(listed["neverEverDeployed"] and listed["canDeploy"])
        self.refused("CodedException", "is taken", self.deploy)
        self.refused("IllegalArgumentException", "no bundle 7", self.deploy, version="7", deployment="other")
        self.refused("NotFoundException", "moon", self.deploy, infra="moon")
        self.refused("NotFoundException", "roses", self.deploy, project="roses")
        self.refused("IllegalArgumentException", "uuid", self.deploy, deployment="2f0e9c6e-2b0c-4c39-8a0e-3a4c9f2d6a11")

    def test_can_deploy_is_the_callers(self):
        self.deployer.upload_bundle(bundle("iris", "1"))
        made = self.deploy()
        viewer = client("viewers").get_projectdeployer()
        self.assertEqual(viewer.list_deployments(), [])
        for thing in (self.deployer.get_infra("local"), self.deployer.get_project("iris")):
            settings = thing.get_settings()
            settings.get_raw()["permissions"].append(permission("viewers", read=True))
            settings.save()
        [listed] = viewer.list_deployments(as_objects=False)
        self.assertFalse(listed["canDeploy"])
        self.assertEqual([one["canDeploy"] for one in viewer.list_infras(as_objects=False)], [False])
        self.assertEqual([one["canDeploy"] for one in viewer.list_projects(as_objects=False)], [False])
        own = viewer.get_deployment(made.id)
        self.refused("UnauthorizedException", "deploy", own.start_update)
        self.refused("UnauthorizedException", "deploy", own.get_settings().save)
        self.refused("UnauthorizedException", "deploy", own.delete)
