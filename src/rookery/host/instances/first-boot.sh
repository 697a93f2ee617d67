#!/bin/sh
# Runs inside the instance at every boot, in the background: what cloud-init does elsewhere. Fetches the user data from the
# instance metadata and runs it, once in the instance's life. Its output goes to the console and to user-data.log.
# A host without services has put the user data into user-data.given.
set -u
cd /run/instance
[ ! -e user-data ] || exit 0

metadata=http://169.254.169.254/latest

# Sets `status`; the user data is in user-data.new when that is 200. 000: nobody answers.
fetch() {
    token=$(curl -sf -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $metadata/api/token)
    status=$(curl -s -m 10 -o user-data.new -w '%{http_code}' -H "X-aws-ec2-metadata-token: $token" $metadata/user-data)
}

# The services may be starting again, or the lease is late.
await_user_data() {
    fetch
    while [ "$status" = 000 ] || [ "$status" -ge 500 ]; do
        sleep 1
        fetch
    done
    [ "$status" = 200 ] && return
    rm -f user-data.new
    [ "$status" = 404 ] || echo "user data: the metadata service answered $status"
    exit 0
}

if [ -e user-data.given ]; then
    mv user-data.given user-data.new
else
    await_user_data
fi
[ -s user-data.new ] || exit 0

# What has no #! line is given to sh; other formats of cloud-init get an honest refusal.
case $(head -c 13 user-data.new | tr -d '\000') in
    '#!'*) ;;
    '#cloud-config' | 'Content-Type:' | 'MIME-Version:' | "$(printf '\037\213')"*)
        printf '#!/bin/sh\necho "user data: only scripts are run; cloud-config, MIME and gzip are not built yet"\nexit 1\n' > user-data.new
        ;;
    *) { printf '#!/bin/sh\n'; cat user-data.new; } > user-data.script && mv user-data.script user-data.new ;;
esac
chmod 700 user-data.new
mv user-data.new user-data # from here on it has run
./user-data 2>&1 | tee user-data.log
