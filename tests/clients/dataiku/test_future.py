"""Updates as futures: waited for, looked at, aborted, found again."""

import os
import time

from case import CHECK, Case, bundle, client, covers, permission

# Is not healthy before somebody makes it so: an update waits for it.
SLOW = CHECK.replace("/tmp/ok", "/tmp/go").replace("retries: 1", "retries: 1, start_period: 120s")


class Future(Case):
    def setUp(self):
        super().setUp()
        self.deployer.upload_bundle(bundle("iris", "1"))
        self.deployer.upload_bundle(bundle("iris", "slow", more=SLOW))

    @covers(
        "DSSFuture.wait_for_result",
        "DSSFuture.peek_state",
        "DSSFuture.get_state",
        "DSSFuture.has_result",
        "DSSFuture.get_result",
        "DSSClient.get_future",
    )
    def test_an_update_that_goes_well(self):
        made = self.deploy()
        future = made.start_update()
        self.assertFalse(future.state["hasResult"])
        self.assertTrue(future.state["alive"])
        result = future.wait_for_result()
        self.assertEqual(result["deploymentId"], made.id)
        self.assertTrue(result["infoMessages"]["success"])
        self.assertEqual(result["updateTimestamp"], made.get_update().start_time)
        # Somebody else, later, by its id alone; reading does not consume it.
        for _ in range(2):
            again = self.client.get_future(future.job_id)
            state = again.peek_state()
            self.assertTrue(state["hasResult"] and not state["alive"])
            self.assertNotIn("result", state)
            self.assertEqual(again.get_result(), result)
            self.assertTrue(again.has_result())
            self.assertEqual(again.get_state()["result"], result)
        self.refused("NotFoundException", "future", self.client.get_future("nothing").get_state)
        stranger = client("ops").get_future(future.job_id)
        self.refused("NotFoundException", "future", stranger.get_state)

    @covers("DSSFuture.abort", "DSSClient.list_futures", "DSSClient.list_running_scenarios")
    def test_abort(self):
        made = self.deploy(version="slow")
        future = made.start_update()
        self.assertEqual([one["jobId"] for one in self.client.list_futures()], [future.job_id])
        [as_object] = self.client.list_futures(as_objects=True, all_users=True)
        self.assertFalse(as_object.has_result())
        self.assertEqual(client("ops").list_futures(), [])
        self.refused("UnauthorizedException", "administrator", client("ops").list_futures, all_users=True)
        self.assertEqual(self.client.list_running_scenarios(), [])
        self.until(lambda: made.get_update().status, lambda status: status == "RUNNING")
        future.abort()
        self.refused("CodedException", "cancelled by", future.wait_for_result)
        self.until(lambda: self.containers(made), lambda running: running == [])
        future.abort()
        self.assertEqual(made.get_update().status, "ABORTED")
        self.assertEqual(self.client.list_futures(), [])

    def test_one_that_ended_cannot_be_aborted(self):
        made = self.deploy()
        future = made.start_update()
        future.wait_for_result()
        self.refused("CodedException", "ended", future.abort)

    def test_aborting_takes_the_right_to_deploy(self):
        made = self.deploy(version="slow")
        future = made.start_update()
        for thing in (self.deployer.get_project("iris"), self.deployer.get_infra("local")):
            settings = thing.get_settings()
            settings.get_raw()["permissions"].append(permission("viewers", read=True))
            settings.save()
        theirs = client("viewers").get_future(future.job_id)
        self.assertFalse(theirs.peek_state()["hasResult"])
        self.refused("UnauthorizedException", "deploy", theirs.abort)
        future.abort()
        self.refused("CodedException", "cancelled", future.wait_for_result)

    def test_a_deployments_id_used_again_is_another_future(self):
        made = self.deploy()
        future = made.start_update()
        future.wait_for_result()
        self.remove(made)
        self.deploy().start_update().wait_for_result()
        self.refused("NotFoundException", "future", future.get_state)

    @covers("DSSFuture.from_resp", "DSSFuture.get_result_wait_if_needed")
    def test_what_the_client_makes_of_answers(self):
        made = self.deploy()
        future = made.start_update()
        done = type(future).get_result_wait_if_needed(self.client, future.state)
        self.assertEqual(done["deploymentId"], made.id)
        again = type(future).from_resp(self.client, future.state, result_wrapper=lambda result: result["deploymentId"])
        self.assertEqual(again.wait_for_result(), made.id)


class AcrossRestart(Case):
    """Run in two halves by the harness, which kills the server in between."""

    PHASE = os.environ.get("SLIPWAY_PHASE", "")

    def sweep(self):
        if self.PHASE != "before":
            super().sweep()

    def test_before(self):
        if self.PHASE != "before":
            return
        self.deployer.upload_bundle(bundle("iris", "1"))
        future = self.deploy().start_update()
        with open(os.environ["SLIPWAY_NOTE"], "w", encoding="utf-8") as note:
            note.write(future.job_id)

    def test_after(self):
        if self.PHASE != "after":
            return
        with open(os.environ["SLIPWAY_NOTE"], encoding="utf-8") as note:
            future = self.client.get_future(note.read())
        begun = time.monotonic()
        result = future.wait_for_result()
        self.assertLess(time.monotonic() - begun, 120)
        self.healthy(self.deployer.get_deployment(result["deploymentId"]))
