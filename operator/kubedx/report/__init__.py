"""What goes out: ClusterDiagnosis objects, the policy's status, metrics, HTTP endpoints, the command's output."""
