"""A deployment on the real engine: updated, changed, in all six healths, deleted."""

from case import CHECK, Case, bundle, client, covers, docker, permission


class Deployment(Case):
    def setUp(self):
        super().setUp()
        for version in ("1", "2"):
            self.deployer.upload_bundle(bundle("iris", version))

    @covers(
        "DSSProjectDeployerDeployment.id",
        "DSSProjectDeployerDeployment.get_status",
        "DSSProjectDeployerDeployment.start_update",
        "DSSProjectDeployerDeploymentStatus.get_light",
        "DSSProjectDeployerDeploymentStatus.get_heavy",
        "DSSProjectDeployerDeploymentStatus.get_health",
        "DSSProjectDeployerDeploymentStatus.get_health_messages",
    )
    def test_every_health(self):
        made = self.deploy()
        status = made.get_status()
        self.assertTrue(status.get_light()["neverEverDeployed"])
        self.assertEqual(status.get_health(), "UNKNOWN")
        self.assertEqual(status.get_heavy()["deploymentId"], made.id)

        made.start_update().wait_for_result()
        status = self.healthy(made)
        self.assertFalse(status.get_light()["neverEverDeployed"])
        self.assertEqual(status.get_health_messages()["messages"], [])
        self.assertFalse(status.get_health_messages()["anyMessage"])

        [container] = self.containers(made)
        docker("exec", container, "rm", "/tmp/ok")
        status = self.healthy(made, "UNHEALTHY")
        [message] = status.get_health_messages()["messages"]
        self.assertEqual((message["severity"], message["isFatal"]), ("ERROR", False))
        self.assertTrue(message["code"] and message["title"] and "web" in message["message"], message)
        docker("exec", container, "touch", "/tmp/ok")
        self.healthy(made)

        settings = made.get_settings()
        settings.bundle_id = "2"
        settings.save()
        self.healthy(made, "OUT_OF_SYNC")
        made.start_update().wait_for_result()
        self.healthy(made)

        self.deployer.upload_bundle(bundle("iris", "bad", more=CHECK.replace("/tmp/ok", "/tmp/no")))
        settings.bundle_id = "bad"
        settings.save()
        self.refused("CodedException", ["failed", "web", "serving"], made.start_update().wait_for_result)
        status = self.healthy(made, "ERROR")
        self.assertTrue(status.get_health_messages()["error"])
        settings.bundle_id = "2"
        settings.save()
        made.start_update().wait_for_result()
        self.healthy(made)

        infra = self.deployer.get_infra("local").get_settings()
        infra.get_raw()["governCheckPolicy"] = "WARN"
        infra.save()
        self.addCleanup(self.unchecked)
        status = self.healthy(made, "WARNING")
        self.assertIn("NOT_APPROVED", [one["code"] for one in status.get_health_messages()["messages"]])

    def unchecked(self):
        """As a fresh instance has it."""
        infra = self.deployer.get_infra("local").get_settings()
        infra.get_raw()["governCheckPolicy"] = "NO_CHECK"
        infra.save()

    @covers(
        "DSSProjectDeployerDeployment.get_settings",
        "DSSProjectDeployerDeploymentSettings.get_raw",
        "DSSProjectDeployerDeploymentSettings.bundle_id",
        "DSSProjectDeployerDeploymentSettings.bundle_id=",
        "DSSProjectDeployerDeploymentSettings.published_project_key",
        "DSSProjectDeployerDeploymentSettings.save",
    )
    def test_settings_reach_the_containers(self):
        made = self.deploy(project_folder_id="flowers")
        settings = made.get_settings()
        raw = settings.get_raw()
        self.assertEqual((settings.bundle_id, settings.published_project_key), ("1", "iris"))
        self.assertEqual((raw["id"], raw["infraId"], raw["enabled"]), (made.id, "local", True))
        self.assertEqual((raw["projectFolderId"], raw["deployedProjectKey"]), ("flowers", "iris"))
        raw["localVariables"] = {"GREETING": "hello", "LIMIT": 5, "DEEP": {"a": [1]}}
        raw["services"] = {"web": {"replicas": 2}}
        raw["projectFolderId"] = "trees"
        settings.bundle_id = "2"
        settings.save()
        now = made.get_settings().get_raw()
        self.assertEqual(now["localVariables"], {"GREETING": "hello", "LIMIT": "5", "DEEP": '{"a":[1]}'})
        self.assertEqual((now["bundleId"], now["projectFolderId"]), ("2", "trees"))
        made.start_update().wait_for_result()
        containers = self.containers(made)
        self.assertEqual(len(containers), 2)
        for container in containers:
            environment = docker("exec", container, "env").splitlines()
            self.assertIn("GREETING=hello", environment)
            self.assertIn("LIMIT=5", environment)
            self.assertEqual(docker("logs", container), "hello from 2")

    def test_what_is_wrong_is_named_and_nothing_is_saved(self):
        made = self.deploy()
        settings = made.get_settings()
        for field, value, words in [
            ("infraId", "other", ["infraId", "can't be changed"]),
            ("publishedProjectKey", "other", "publishedProjectKey"),
            ("deployedProjectKey", "OTHER", "deployedProjectKey"),
            ("scenariosToActivate", {"daily": True}, "scenariosToActivate"),
            ("bundleId", "9", "no bundle 9"),
            ("enabled", "perhaps", "enabled"),
            ("services", {"web": {"replica": 2}}, ["services.web", "replica"]),
            ("services", {"api": {"replicas": 2}}, "api"),
            ("localVariables", ["A=b"], "localVariables"),
        ]:
            with self.subTest(field):
                raw = settings.get_raw()
                kept, raw[field] = raw[field], value
                self.refused("IllegalArgumentException", words, settings.save)
                raw[field] = kept
                self.assertEqual(made.get_settings().get_raw(), raw)

    @covers(
        "DSSProjectDeployerDeployment.list_updates",
        "DSSProjectDeployerDeployment.get_update",
        "DSSProjectDeployerDeploymentUpdateListItem.start_time",
        "DSSProjectDeployerDeploymentUpdateListItem.type",
        "DSSProjectDeployerDeploymentUpdateListItem.status",
        "DSSProjectDeployerDeploymentUpdateListItem.get_raw",
        "DSSProjectDeployerDeploymentUpdateListItem.get_full_update",
        "DSSProjectDeployerDeploymentUpdate.start_time",
        "DSSProjectDeployerDeploymentUpdate.end_time",
        "DSSProjectDeployerDeploymentUpdate.requester",
        "DSSProjectDeployerDeploymentUpdate.status",
        "DSSProjectDeployerDeploymentUpdate.logs",
        "DSSProjectDeployerDeploymentUpdate.get_raw",
    )
    def test_updates(self):
        made = self.deploy()
        self.assertEqual(made.list_updates(), [])
        self.refused("NotFoundException", "never updated", made.get_update)
        # Three at once: each has a time of its own.
        futures = [made.start_update() for _ in range(3)]
        for future in futures:
            future.wait_for_result()
        updates = made.list_updates()
        self.assertEqual([one.status for one in updates], ["SUCCESS"] * 3)
        self.assertEqual([one.type for one in updates], ["UPDATE"] * 3)
        self.assertEqual(len({one.start_time for one in updates}), 3)
        self.assertEqual([one.get_raw()["number"] for one in updates], [3, 2, 1], "newest first")
        first = updates[-1].get_full_update()
        self.assertEqual(first.start_time, updates[-1].start_time)
        self.assertGreater(first.end_time, first.start_time)
        self.assertEqual((first.status, first.requester), ("SUCCESS", first.get_raw()["requester"]))
        self.assertIsInstance(first.logs, list)
        self.assertIn("[plan] Bundle 1. To start: web.", first.logs[0])
        self.assertTrue(any("[start] web: 1 replica started" in line for line in first.logs), first.logs)
        self.assertTrue(all("] [INFO] [" in line for line in first.logs), first.logs)
        again = made.get_update(str(first.start_time))
        self.assertEqual(again.get_raw(), first.get_raw())
        self.assertEqual(made.get_update().start_time, updates[0].start_time, "the newest")
        self.refused("NotFoundException", "5", made.get_update, "5")
        self.refused("NotFoundException", "yesterday", made.get_update, "yesterday")

    def test_a_failed_update_keeps_its_log(self):
        self.deployer.upload_bundle(bundle("iris", "bad", more=CHECK.replace("/tmp/ok", "/tmp/no")))
        made = self.deploy(version="bad")
        self.refused("CodedException", ["failed", "web"], made.start_update().wait_for_result)
        failed = made.get_update()
        self.assertEqual(failed.status, "FAILED")
        self.assertTrue(any("[ERROR]" in line for line in failed.logs), failed.logs)
        self.assertTrue(failed.get_raw()["failure"]["hint"])

    @covers("DSSProjectDeployerDeployment.delete")
    def test_delete(self):
        made = self.deploy()
        made.start_update().wait_for_result()
        [container] = self.containers(made)
        self.refused("CodedException", ["disabled", "Stop it"], made.delete)
        settings = made.get_settings()
        settings.get_raw()["enabled"] = False
        settings.save()
        self.refused("CodedException", "updated since", made.delete)
        made.start_update().wait_for_result()
        self.assertEqual(made.get_update().get_raw()["type"], "STOP")
        self.assertEqual(self.containers(made), [])
        self.assertNotIn(container, docker("ps", "-aq").split())
        made.delete()
        self.assertEqual(self.deployer.list_deployments(), [])
        self.refused("NotFoundException", made.id, made.get_status)

    def test_rights(self):
        made = self.deploy()
        ml = client("ml").get_projectdeployer().get_deployment(made.id)
        self.refused("NotFoundException", made.id, ml.get_status)
        project, infra = self.deployer.get_project("iris").get_settings(), self.deployer.get_infra("local").get_settings()
        project.get_raw()["permissions"].append(permission("ml", deploy=True))
        project.save()
        self.refused("NotFoundException", made.id, ml.start_update)
        infra.get_raw()["permissions"].append(permission("ml", read=True))
        infra.save()
        self.refused("UnauthorizedException", "deploy", ml.start_update)
        infra.get_raw()["permissions"][-1]["deploy"] = True
        infra.save()
        ml.start_update().wait_for_result()
        self.assertIn("ml", made.get_update().requester)
        infra.get_raw()["permissions"].pop()
        infra.save()
        self.refused("NotFoundException", made.id, ml.get_status)
