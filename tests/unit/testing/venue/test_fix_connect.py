from tickspan.testing.venue import Connect

HERE = Connect("http://127.0.0.1:9", "key", "secret", ("127.0.0.1", 77))


def test_settings_lead_an_initiator_here_and_keep_its_numbers_where_it_wants():
    told = HERE.fix_settings(sender="BOT", store="/var/fix", HeartBtInt=5, ResetOnLogon="Y")
    assert told.splitlines() == [
        "[DEFAULT]",
        "[SESSION]",
        "ConnectionType=initiator",
        "BeginString=FIX.4.4",
        "SenderCompID=BOT",
        "TargetCompID=VENUE",
        "SocketConnectHost=127.0.0.1",
        "SocketConnectPort=77",
        "SocketNodelay=Y",
        "ReconnectInterval=1",
        "HeartBtInt=5",
        "StartTime=00:00:00",
        "EndTime=00:00:00",
        "UseDataDictionary=N",
        "FileStorePath=/var/fix",
        "ResetOnLogon=Y",
    ]


def test_without_a_store_no_folder_is_named():
    assert "FileStorePath" not in HERE.fix_settings()
