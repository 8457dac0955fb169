"""What to try on a running Gavel: commands that can be copied as they stand, in the repository's root."""

EXAMPLE = "examples/fraud.json"
METHOD = "gavel.v1.DecisionService/Decide"


def show(gavel_url: str, admin_url: str, triton_pid: int | None, logs: str) -> None:
    """Print the commands. `logs` is the folder of the logs and of the example's other forms (`wire`)."""
    decide = f"{gavel_url}/v1/decide"
    protobuf = "-H 'content-type: application/x-protobuf' -H 'accept: application/json'"
    stops: list[tuple[str, list[str]]] = [
        ("the same question, in JSON", [f"curl -d @{EXAMPLE} {decide}"]),
        (
            "a review, a decline, a card that nobody knows",
            [f"curl -d @examples/fraud-{name}.json {decide}" for name in ("review", "decline", "unknown-card")],
        ),
        ("protobuf in, JSON out", [f"curl --data-binary @{logs}/fraud.pb {protobuf} {decide}"]),
        (
            "gRPC, with either client",
            [
                f"grpcurl -plaintext -d @ {gavel_url.removeprefix('http://')} {METHOD} <{logs}/fraud.grpc.json",
                f"buf curl --protocol grpc --http2-prior-knowledge -d @{logs}/fraud.grpc.json {gavel_url}/{METHOD}",
            ],
        ),
        ("a budget of 1 ms", [f"curl -H 'x-request-timeout-ms: 1' -d @{EXAMPLE} {decide}"]),
        ("which tiers are ready, and why not", [f"curl {admin_url}/admin/decisions"]),
        ("metrics", [f"curl -s {admin_url}/metrics | grep ^gavel_"]),
    ]
    if triton_pid:
        stops += [
            ("freeze Triton, ask again, let it go on", [f"kill -STOP {triton_pid}", f"kill -CONT {triton_pid}"]),
            ("kill Triton: it is started again", [f"kill -9 {triton_pid}"]),
        ]
    print("Try next:")
    for title, commands in stops:
        print(f"  # {title}", *(f"    {command}" for command in commands), sep="\n")
    print(f"\nGavel is up: {gavel_url}, admin {admin_url}. Logs are in {logs}/. Ctrl-C stops all of it.\n", flush=True)
