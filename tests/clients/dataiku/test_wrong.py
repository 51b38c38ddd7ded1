"""Wrong calls: each becomes the client's own exception, with words that help."""

import dataikuapi
import requests
from case import KEYS, URL, Case, client


class Wrong(Case):
    def test_credentials(self):
        for bad in (dataikuapi.DSSClient(URL, "slw_no-such-key"), dataikuapi.DSSClient(URL, "")):
            deployer = bad.get_projectdeployer()
            self.refused("NotAuthenticatedException", ["not signed in", "API key"], deployer.list_deployments)
        by_token = dataikuapi.DSSClient(URL, jwt_bearer_token=KEYS["admins"]).get_projectdeployer()
        self.assertEqual(by_token.list_deployments(), [])
        answer = requests.get(f"{URL}/dip/publicapi/project-deployer/stages", timeout=10)
        self.assertEqual(answer.status_code, 401)
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Basic"))
        self.assertEqual(answer.json()["errorType"], "com.dataiku.dip.exceptions.NotAuthenticatedException")

    def test_what_is_not_spoken_here(self):
        self.refused("NotFoundException", ["GET /projects/", "project deployer"], self.client.list_project_keys)
        session = requests.Session()
        session.auth = (KEYS["admins"], "")
        answer = session.put(f"{URL}/dip/publicapi/project-deployer/stages", json={}, timeout=10)
        self.assertEqual(answer.status_code, 405)
        self.assertIn("takes GET", answer.json()["detailedMessage"])

    def test_bodies_and_parameters(self):
        self.refused("IllegalArgumentException", "deploymentId", self.client._perform_json, "POST",
                     "/project-deployer/deployments", body={"infraId": "local"})
        self.refused("IllegalArgumentException", "colour", self.client._perform_json, "POST",
                     "/project-deployer/projects", body={"publishedProjectKey": "x", "colour": "red"})
        self.refused("IllegalArgumentException", "line 1", self.client._perform_json, "POST",
                     "/project-deployer/projects", raw_body="{")
        self.refused("IllegalArgumentException", "ignoreWarnings", self.client._perform_json, "POST",
                     "/project-deployer/deployments", params={"ignoreWarnings": "perhaps"}, body={})
        answer = requests.post(f"{URL}/dip/publicapi/project-deployer/projects/bundles", auth=(KEYS["admins"], ""),
                               files={"other": b"x"}, timeout=10)
        self.assertEqual(answer.status_code, 400, answer.text)
        self.assertEqual(set(answer.json()), {"errorType", "message", "detailedMessage", "code", "requestId"})

    def test_a_session_counts_for_nothing_here(self):
        answer = requests.get(f"{URL}/dip/publicapi/project-deployer/stages", cookies={"slipway": "x" * 43}, timeout=10)
        self.assertEqual(answer.status_code, 401)

    def test_somebody_without_a_grant_sees_nothing(self):
        deployer = client("viewers").get_projectdeployer()
        self.assertEqual((deployer.list_deployments(), deployer.list_infras(), deployer.list_projects()), ([], [], []))
        self.refused("NotFoundException", "local", deployer.get_infra("local").get_status)
