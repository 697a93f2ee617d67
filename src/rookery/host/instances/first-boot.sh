#!/bin/sh
# Runs inside the instance at every boot, in the background: what cloud-init does elsewhere. Fetches the user data from the
# instance metadata and runs it, once in the instance's life. Its output goes to the console and to user-data.log.
# A host without services has put the user data into user-data.given.
set -u
cd /run/instance
[ ! -e user-data ] || exit 0

carriage_return=$(printf '\r')

# $1 method, $2 path, $3 a header line; what comes goes into the file $4. Sets `status`; 000: nobody answers, or not to the end.
# By hand: a hundred launches share the machine, and curl takes four times the processor.
ask() {
    status=000 length=
    printf '%s /latest/%s HTTP/1.0\r\nHost: 169.254.169.254\r\n%s\r\n\r\n' "$1" "$2" "$3" |
        busybox nc -w 3 169.254.169.254 80 > answer 2> /dev/null
    {
        read -r _ status _
        while read -r name value && [ "$name" != "$carriage_return" ]; do
            [ "$name" != Content-Length: ] || length=${value%"$carriage_return"}
        done
        cat > "$4"
    } < answer
    [ "$(wc -c < "$4")" = "$length" ] || status=000
}

# Sets `status`; the user data is in user-data.new when that is 200.
fetch() {
    ask PUT api/token 'X-aws-ec2-metadata-token-ttl-seconds: 60' answered
    token=
    [ "$status" != 200 ] || token=$(cat answered)
    ask GET user-data "X-aws-ec2-metadata-token: $token" user-data.new
    rm -f answer answered
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
