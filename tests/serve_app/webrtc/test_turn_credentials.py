from serve_app.webrtc.turn_credentials import credentials


def test_the_name_says_when_it_ends() -> None:
    made = credentials("north", "student-7", ttl_s=3600, now_s=1_700_000_000.9)
    assert made.username == "1700003600:student-7"
    assert made.ttl_s == 3600


def test_the_password_is_the_one_that_coturn_computes() -> None:
    # printf 1433895918:ninefingers | openssl dgst -sha1 -hmac north -binary | base64
    made = credentials("north", "ninefingers", ttl_s=18, now_s=1_433_895_900)
    assert made.username == "1433895918:ninefingers"
    assert made.password == "jy8hTxmOO7UtEKXqSkSlvakPVYA="


def test_another_secret_makes_another_password() -> None:
    one, other = (credentials(secret, "a", 60, 0.0) for secret in ("north", "south"))
    assert one.username == other.username and one.password != other.password
