"""Forms in which apps print secrets: by kind, the secrets, and the lines around them.

Each template is used with each secret of its kind; ``{}`` is the secret. The secrets are made up:
prefixes are those of the issuers, the rest is no real token. The long ones are built from parts, so
that scanners of repositories do not report them.
"""

from typing import Final, NamedTuple

CHOSEN: Final = ("hunter2", "Tr0ub4dor&3x", "correct-horse-42")
"""Passwords that a person chose."""
WORD: Final = ("swordfish", "hunter2")
"""One of these is a word of a dictionary: only its place tells that it is a secret."""
HEX: Final = "9f86d081884c7d659a2feaa0c55ad015"
RANDOM: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYz9Q2kLm4Tn"
ALNUM: Final = "a8Kq3ZpX7Lw2Vn9Rt4Ys"
BODY: Final = "MIIEpAIBAAKCAQEA7bq8Q2kLm4TnbPxRfiCYz9a8Kq3ZpX7Lw2Vn9Rt4YsQ1w8eR"


class Kind(NamedTuple):
    """One kind of form: the secrets, and the templates that each of them is put into."""

    secrets: tuple[str, ...]
    templates: tuple[str, ...]


KINDS: Final[dict[str, Kind]] = {
    "JSON": Kind(
        CHOSEN,
        (
            '{"user":"bob","pass":"{}"}',
            '{"pw": "{}"}',
            '{"passwords": ["{}", "other"]}',
            '{"tokens":["{}"]}',
            '{"secret": {"value": "{}"}}',
            '{"db":{"host":"db","password":"{}","port":5432}}',
            '{"msg":"{\\"password\\":\\"{}\\"}"}',
            '{"name":"DB_PASSWORD","value":"{}"}',
            '{"value":"{}","name":"DB_PASSWORD"}',
            '{"key": "api_key", "value": "{}"}',
        ),
    ),
    "YAML": Kind(
        CHOSEN,
        (
            "password: {}",
            "- name: DB_PASSWORD\n  value: {}",
            '- name: DB_PASSWORD\n  value: "{}"',
            "password: |\n  {}\nuser: bob",
            "password: >-\n  {}\nuser: bob",
            "passwords:\n  - {}\n  - other",
            "passwords:\n- {}\nuser: bob",
            "secret:\n  value: {}\nuser: bob",
            "    spring.datasource.password: {}",
            "auth: {}",
            "pw: {}",
        ),
    ),
    "environment": Kind(
        CHOSEN,
        (
            "DB_PASSWORD={}",
            "export SECRET_KEY_BASE={}",
            "REDIS_AUTH={}",
            "GITHUB_PAT={}",
            "MYSQL_PWD='{}'",
            "PGPASSWORD={}",
            "API_KEY_PROD={}",
            'DJANGO_SECRET_KEY="{}"',
            "TOKEN2={}",
            "SMTP_PASS={}",
            "ENCRYPTION_KEY_V2={}",
            "JWT_SALT={}",
            "env: [DB_USER=bob DB_PASS={} DB_HOST=db]",
        ),
    ),
    "properties and code": Kind(
        CHOSEN,
        (
            "spring.datasource.password={}",
            'password := "{}"',
            "config['password'] = '{}'",
            'config["apiKey"] => "{}"',
            "Login(user='bob', password='{}')",
            "Config{Password:{} Host:db}",
            "dbpassword = {}",
            "clientSecret={}",
            "requirepass {}",
            "{masterauth: {}}",
            "?user=bob&password={}",
            "password%3D{}",
        ),
    ),
    "connection strings": Kind(
        ("hunter2", "Tr0ub4dor3x"),
        (
            "postgres://bob:{}@db:5432/shop",
            "redis://:{}@cache:6379/0",
            "amqp://bob:{}@mq/%2f",
            "mongodb+srv://bob:{}@cluster0.mongodb.net/shop?retryWrites=true",
            "jdbc:mysql://db/shop?user=bob&password={}",
            "bob:{}@tcp(db:3306)/shop?parseTime=true",
            "bob:{}@unix(/run/db.sock)/shop",
            "Server=db;User Id=bob;Password={};",
            "Server=db;Uid=bob;Pwd={};",
            "host=db user=bob password={} sslmode=disable",
            "scott/{}@//db:1521/shop",
            "bob:{}@db:5432",
            "dial error: proxy http://bob:{}@proxy:3128 refused",
        ),
    ),
    "command lines": Kind(
        ("hunter2", "Tr0ub4dor3x"),
        (
            "mysql -u root -p{} shop",
            "mysqldump -h db -P 3306 -u root -p{} shop",
            "curl -u bob:{} https://registry",
            "curl -sS --user bob:{} https://registry",
            "curl -H 'X-Api-Key: {}' https://api",
            "redis-cli -h cache -a {} ping",
            "docker login -u bob -p {} registry",
            "sshpass -p {} ssh bob@host",
            "ldapsearch -D cn=admin -w {}",
            "mosquitto_pub -u bob -P {} -t x",
            "app --db-password {} --port 80",
            "app --db-password={} --port 80",
            '["app", "--token", "{}"]',
            "java -Djavax.net.ssl.keyStorePassword={} -jar app.jar",
            "keytool -list -storepass {}",
            "openssl rsa -passin pass:{}",
            "PGPASSWORD={} psql -h db",
            "htpasswd -b /etc/htpasswd bob {}",
        ),
    ),
    "SQL": Kind(
        CHOSEN,
        (
            "CREATE USER bob IDENTIFIED BY '{}'",
            "ALTER USER bob IDENTIFIED WITH caching_sha2_password BY '{}'",
            "CREATE ROLE bob WITH LOGIN PASSWORD '{}'",
            "ALTER ROLE bob WITH ENCRYPTED PASSWORD '{}'",
            "SET PASSWORD FOR bob = '{}'",
        ),
    ),
    "XML": Kind(
        WORD,
        (
            "<password>{}</password>",
            "<db:password>{}</db:password>",
            '<property name="db.password" value="{}"/>',
            '<entry key="db.password">{}</entry>',
            '<add key="ApiKey" value="{}" />',
            '<user name="bob" password="{}"/>',
            "<clientSecret type='x'>{}</clientSecret>",
        ),
    ),
    "headers": Kind(
        ("aHVudGVyMjpodW50ZXIy", "dG9rZW46czNjcjN0"),
        (
            "Authorization: Basic {}",
            "authorization: Bearer {}",
            '"Authorization": "Basic {}"',
            "Proxy-Authorization: Basic {}",
            "X-Vault-Token: {}",
            "x-api-key: {}",
            "Ocp-Apim-Subscription-Key: {}",
            "Cookie: session={}; theme=dark",
            "Set-Cookie: sid={}; HttpOnly",
            "sent Basic {} to the proxy",
            "headers=map[X-Auth-Token:[{}]]",
            "PRIVATE-TOKEN: {}",
        ),
    ),
    "other languages": Kind(
        WORD,
        (
            "Passwort: {}",
            "Kennwort={}",
            "mot de passe : {}",
            "contraseña: {}",
            "senha={}",
            "wachtwoord: {}",
            "hasło: {}",
            "heslo={}",
            "şifre: {}",
            "пароль: {}",
            "Пароль={}",
            "密码：{}",
            "密码: {}",
            "口令={}",
            "パスワード：{}",
            "비밀번호: {}",
        ),
    ),
    "split and coloured": Kind(
        CHOSEN,
        (
            "pass\u200bword={}",
            "pa\u00adssword: {}",
            "\x1b[1mpassword\x1b[0m={}",
            "pass\u2060word\ufeff: {}",
            "p\u202eassword={}",
            "password\u200d=\u200d{}",
            "sec\x00ret={}",
        ),
    ),
    "prose": Kind(
        ("hunter2", "Tr0ub4dor3x"),
        (
            "the password is {}",
            "Your new password is: {}",
            "das Passwort ist {}",
            "token was {}, now expired",
            "密码是{}",
            "login failed with password {} for bob",
            "tried {} as the password",
        ),
    ),
    "Kubernetes": Kind(
        ("aHVudGVyMg==", "c3dvcmRmaXNo"),
        (
            "apiVersion: v1\nkind: Secret\ndata:\n  a: {}\ntype: Opaque",
            "apiVersion: v1\ndata:\n  some.thing: {}\nkind: Secret",
            "kind: Secret\nstringData:\n  anything: {}",
            '{"apiVersion":"v1","data":{"a":"{}"},"kind":"Secret"}',
            '{"kind":"Secret","stringData":{"x":"1","a":"{}"}}',
            '{"auths":{"registry":{"auth":"{}"}}}',
            "    auth: {}",
            "client-key-data: {}",
        ),
    ),
    "private keys": Kind(
        (BODY,),
        (
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\n{}",
            "{}\n-----END PRIVATE KEY-----",
            '{"key":"-----BEGIN EC PRIVATE KEY-----\\n{}\\n-----END EC PRIVATE KEY-----\\n"}',
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{}\n-----END PGP PRIVATE KEY BLOCK-----",
            "loaded\n{}\n{}\ndone",
            "tls.key: |\n  {}\n  {}",
            "private_key: {}",
        ),
    ),
    "cloud keys": Kind(
        (RANDOM,),
        (
            "aws_secret_access_key = {}",
            "using {} for s3",
            "[default]\naws_access_key_id = x\naws_secret_access_key = {}",
            "AccountKey={};EndpointSuffix=core.windows.net",
            "SharedAccessKey={}",
            "https://shop.blob.core.windows.net/x?sv=2024&sig={}",
            "key {} loaded",
        ),
    ),
    "tokens in a sentence": Kind(
        (
            "AKIA" + "IOSFODNN7EXAMPLE",
            "ghp_" + ALNUM * 2,
            "github_pat_" + ALNUM,
            "glpat-" + ALNUM,
            "xoxb-" + "123456789012-" + ALNUM,
            "xapp-" + "1-A012-345-" + ALNUM,
            "npm_" + ALNUM * 2,
            "pypi-" + "AgEIcHlwaS5vcmc" + ALNUM,
            "whsec_" + ALNUM,
            "SG." + ALNUM + "." + ALNUM,
            "hf_" + ALNUM,
            "sk_live_" + ALNUM,
            "sk-" + ALNUM,
            "rk_test_" + ALNUM,
            "hvs." + ALNUM,
            "AIza" + "Sy" + ALNUM,
            "ya29." + ALNUM,
            "GOCSPX-" + ALNUM,
            "dckr_pat_" + ALNUM,
            "dop_v1_" + HEX * 2,
            "shpat_" + HEX,
            "sq0atp-" + ALNUM,
            "key-" + HEX,
            HEX + "-us12",
            "SK" + HEX,
            "glsa_" + ALNUM + "_1a2b3c4d",
            "NRAK-" + "A1B2C3D4E5F6G7H8I9J0",
            "PMAK-" + HEX,
            "dapi" + HEX,
            "lin_api_" + ALNUM,
            "figd_" + ALNUM,
            "123456789:AA" + "H" + ALNUM + "abcdefghijkl",
            "AGE-SECRET-KEY-1" + "QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
            "tskey-auth-" + ALNUM,
            "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJib2IifQ." + ALNUM,
            "$2b$12$" + ALNUM + ALNUM,
            "$6$salt$" + ALNUM * 3,
            "{SSHA}" + ALNUM,
            "https://hooks.slack.com/services/" + "T0001/B0001/" + ALNUM,
            RANDOM,
        ),
        ("rejected {} with 401", "X={}", "({})"),
    ),
    "best effort": Kind(
        ("swordfish",),
        (
            "login failed with secret word {}",
            "drowssap: {}",
            "password s w o r d: {}",
            "p a s s w o r d = {}",
            "bob / {}",
            "bob {} logged in",
            "credentials bob {}",
        ),
    ),
}
"""The kinds that proved to leak, and others like them."""


class SecretForm(NamedTuple):
    """One form: its name for a list, the text and the secret in it."""

    name: str
    text: str
    secret: str


def all_forms() -> list[SecretForm]:
    """All templates with all secrets of their kinds."""
    return [
        SecretForm(f"{kind}: {template!r} {secret}", template.replace("{}", secret), secret)
        for kind, (secrets, templates) in KINDS.items()
        for template in templates
        for secret in secrets
    ]
